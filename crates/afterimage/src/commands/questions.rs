//! The questions: asked, and the answer shown.

use std::borrow::Cow;
use std::io::{self, IsTerminal};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Outcome;
use crate::ask::{self, AskError, Asker, List, Question};
use crate::config::AskConfig;
use crate::output;
use crate::render::{self, Screen};
use crate::signals::Stop;

/// Asks until the answer is whole, or told to end.
pub(super) async fn run(mut config: AskConfig, screen: &Screen, stop: &Stop) -> anyhow::Result<Outcome> {
    let asker = Asker::new(&config.whom)?;
    let answered = tokio::select! {
        answered = answer(&asker, &mut config, screen) => answered,
        () = stop.drain.cancelled() => Err(AskError::Failed("told to stop".to_owned())),
    };
    asker.close().await;
    match answered {
        Ok(is_any) => Ok(if is_any && config.fail_if_any { Outcome::Found } else { Outcome::Done }),
        Err(AskError::NoSuchRecord(told)) => {
            output::complain(told);
            Ok(Outcome::NoSuchRecord)
        }
        Err(AskError::Question(told)) => {
            output::complain(told);
            Ok(Outcome::Misasked)
        }
        Err(AskError::Failed(told)) => anyhow::bail!(told),
    }
}

/// Prints the answer. Does it hold anything? A page may be empty and yet not the last.
async fn answer(asker: &Asker, config: &mut AskConfig, screen: &Screen) -> Result<bool, AskError> {
    let mut found = 0;
    let mut holds = false;
    for page in 0.. {
        let body = asker.ask(&config.question).await?;
        let list = match config.question.columns().is_some() {
            true => serde_json::from_str(&body)?,
            false => List { items: Vec::new(), next: None },
        };
        let before = found;
        found += list.items.len();
        holds |= !list.items.is_empty() || holds_something(&config.question, &body)?;
        let text = match (config.json, config.all) {
            (true, true) => Cow::Owned(part(&list, page == 0, before == 0)),
            (true, false) => Cow::Owned(body.clone() + "\n"),
            (false, _) if config.question.columns().is_none() => {
                Cow::Owned(render::answer(&config.question, &body, screen)?)
            }
            (false, _) if !list.items.is_empty() => Cow::Owned(render::items(&config.question, &list.items, screen)?),
            (false, _) if found == 0 && list.next.is_none() => {
                // A check that is to be silent when all is well is silent, unless somebody looks on.
                if !config.fail_if_any || io::stderr().is_terminal() {
                    output::note(ask::of_nothing(&config.question));
                }
                Cow::Borrowed("")
            }
            (false, _) => Cow::Borrowed(""),
        };
        // Whoever has seen enough (`| head`) is not kept waiting for the rest.
        if !output::print_more(&text)? {
            break;
        }
        match list.next {
            Some(next) if config.all => config.question.turn_to(next),
            Some(next) if !config.json => {
                output::note(format!("\nmore: --all, or {}--cursor {next}", bounds(config)));
                break;
            }
            _ => break,
        }
    }
    Ok(holds)
}

/// Of an answer that is no list: does the record exist, does anything differ?
fn holds_something(question: &Question, body: &str) -> Result<bool, serde_json::Error> {
    #[derive(Deserialize)]
    struct State {
        exists: Option<bool>,
    }
    #[derive(Deserialize)]
    struct Patch<'a> {
        record: &'a str,
        #[serde(borrow)]
        patch: Vec<&'a RawValue>,
    }
    Ok(match question {
        Question::State(..) => serde_json::from_str::<State>(body)?.exists == Some(true),
        Question::Diff(..) | Question::Revert(..) => {
            let patch: Patch<'_> = serde_json::from_str(body)?;
            !patch.patch.is_empty() || patch.record == "delete"
        }
        _ => false,
    })
}

/// A part of one body that holds the items of all pages: it is whole, and JSON, only with the last one.
fn part(list: &List<'_>, is_first_page: bool, is_first_item: bool) -> String {
    let mut out = String::from(if is_first_page { "{\"items\":[" } else { "" });
    for (index, item) in list.items.iter().enumerate() {
        if index > 0 || !is_first_item {
            out.push(',');
        }
        out.push_str(item.get());
    }
    if list.next.is_none() {
        out.push_str("],\"next\":null}\n");
    }
    out
}

/// A cursor goes with the times it was made for: those that depend on the clock are said as they were.
fn bounds(config: &AskConfig) -> String {
    let Some(listing) = config.question.listing().filter(|_| config.moves) else { return String::new() };
    let bound = |flag, moment: Option<_>| moment.map(|moment| format!("{flag} {moment} ")).unwrap_or_default();
    bound("--from", listing.from) + &bound("--to", listing.to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_a_list_are_one_body_though_some_are_empty() {
        let pages = [
            r#"{"items":[],"next":"a"}"#,
            r#"{"items":[1.10,2],"next":"b"}"#,
            r#"{"items":[],"next":"c"}"#,
            r#"{"items":[3],"next":null}"#,
        ];
        let (mut body, mut found) = (String::new(), 0);
        for (index, page) in pages.iter().enumerate() {
            let list: List<'_> = serde_json::from_str(page).unwrap();
            body += &part(&list, index == 0, found == 0);
            found += list.items.len();
        }
        assert_eq!(body, "{\"items\":[1.10,2,3],\"next\":null}\n");
    }
}
