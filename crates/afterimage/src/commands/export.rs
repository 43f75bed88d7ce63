//! `afterimage export`, and any list with `--as`: all of it, to a file or standard output.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Outcome;
use crate::ask::{self, AskError, Asker, Sink};
use crate::config::ExportConfig;
use crate::output;
use crate::progress::Progress;
use crate::signals::Stop;

/// Writes it all, or says that it did not: a file is there under its name only when it is whole.
pub(super) async fn run(config: ExportConfig, stop: &Stop) -> anyhow::Result<Outcome> {
    let asker = Asker::new(&config.whom)?;
    let mut written = Written::to(config.output.as_deref())?;
    let ended = tokio::select! {
        ended = asker.export(&config.export, &mut written) => ended,
        () = stop.drain.cancelled() => Err(AskError::Failed("told to stop: the export is not whole".to_owned())),
    };
    asker.close().await;
    written.progress = None;
    if ended.is_ok() && written.items == 0 {
        output::note(ask::of_nothing(&config.export.question));
    }
    match ended {
        Ok(()) => written.finish().map(|()| Outcome::Done),
        Err(error) => {
            written.discard();
            match error {
                AskError::NoSuchRecord(told) | AskError::Question(told) => {
                    output::complain(told);
                    Ok(Outcome::Misasked)
                }
                AskError::Failed(told) => anyhow::bail!(told),
            }
        }
    }
}

/// Where an export goes.
struct Written {
    target: Target,
    items: u64,
    /// Not where entries run over the same terminal.
    progress: Option<Progress>,
}

enum Target {
    Stdout,
    /// A file beside the one that is to be, under another name until it is whole.
    File {
        out: BufWriter<File>,
        part: PathBuf,
        path: PathBuf,
    },
}

impl Written {
    fn to(path: Option<&Path>) -> anyhow::Result<Self> {
        let target = match path {
            None => Target::Stdout,
            Some(path) => {
                let mut part = path.as_os_str().to_owned();
                part.push(format!(".{}.part", std::process::id()));
                let part = PathBuf::from(part);
                // Who asked for a file is told of that file, whatever it is called until it is whole.
                let file = File::create_new(&part).with_context(|| path.display().to_string())?;
                Target::File { out: BufWriter::new(file), part, path: path.to_owned() }
            }
        };
        let is_apart = path.is_some() || !io::stdout().is_terminal();
        Ok(Self { target, items: 0, progress: is_apart.then(Progress::new) })
    }

    fn finish(self) -> anyhow::Result<()> {
        let Target::File { out, part, path } = self.target else { return Ok(()) };
        let whole = out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| {
            file.sync_all()?;
            std::fs::rename(&part, &path)
        });
        if whole.is_err() {
            std::fs::remove_file(&part).ok();
        }
        whole.with_context(|| path.display().to_string())
    }

    fn discard(self) {
        if let Target::File { part, .. } = self.target {
            // What cannot be removed bears a name that says what it is.
            std::fs::remove_file(part).ok();
        }
    }
}

impl Sink for Written {
    fn take(&mut self, bytes: &[u8], items: u64) -> io::Result<bool> {
        self.items += items;
        if let Some(progress) = &mut self.progress {
            progress.tell(|| format!("{} items", self.items));
        }
        match &mut self.target {
            Target::Stdout => output::print_bytes(bytes),
            Target::File { out, .. } => out.write_all(bytes).map(|()| true),
        }
    }
}
