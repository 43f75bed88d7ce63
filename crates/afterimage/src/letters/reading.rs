//! How a letter is read by the settings of today.

use std::collections::BTreeSet;

use afterimage_consumer::dead_letters::Letter;
use afterimage_consumer::{Pipeline, Processed, Processor};
use afterimage_diff::Rules;
use afterimage_event::{Contents, Layers, Place, Refusal, Settings, decode};
use serde::Serialize;

use crate::clock;

/// Events of one letter that are told one by one; the rest is counted.
const EVENTS_TOLD_MAX: usize = 1_000;
/// Different sources, tables or formats of one letter that are told.
const NAMES_MAX: usize = 16;

/// Reads letters as a worker with these settings would.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: Settings,
    pipeline: Pipeline,
}

/// What a letter is read as.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// What its events are taken for.
    pub(crate) formats: BTreeSet<String>,
    pub(crate) sources: BTreeSet<String>,
    pub(crate) tables: BTreeSet<String>,
    /// Each event, in order, as far as they are told.
    pub(crate) events: Vec<EventNow>,
    /// Where the first thing stands that is not understood.
    pub(crate) place: Option<Place>,
    /// What a worker would make of it.
    pub(crate) processed: Processed,
}

/// How one event is read; or the whole message, when it cannot be taken apart.
#[derive(Debug, Serialize)]
pub(crate) struct EventNow {
    /// Its index, when the message holds several.
    pub(crate) index: Option<usize>,
    pub(crate) format: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) table: Option<String>,
    pub(crate) op: Option<&'static str>,
    pub(crate) event_id: Option<String>,
    /// `understood`, or the code of what is wrong.
    pub(crate) verdict: &'static str,
    pub(crate) place: Option<String>,
    /// What is wrong, without values.
    pub(crate) problem: Option<String>,
}

/// The verdict on what can be stored, or needs no storing.
pub(crate) const UNDERSTOOD: &str = "understood";

impl Reader {
    pub(crate) fn new(settings: Settings, rules: Rules) -> Self {
        Self { pipeline: Pipeline::new(settings.clone(), rules), settings }
    }

    /// What makes entries of letters.
    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    pub(crate) fn read(&self, letter: &Letter) -> Reading {
        let now = letter.message.at_most(clock::now());
        let mut reading = Reading { processed: self.pipeline.process(&letter.message, now), ..Reading::default() };
        let told = letter.message.told();
        let mut layers = Layers::default();
        let mut events = match decode(&told, &self.settings, &mut layers) {
            Ok(Contents::Events(events)) => events,
            Ok(Contents::Control(control)) => {
                note(&mut reading.formats, "sns");
                let verdict = control.kind.as_str();
                reading.events.push(EventNow { format: Some("sns".to_owned()), verdict, ..EventNow::blank(None) });
                return reading;
            }
            Err(refusal) => {
                reading.refused(&refusal);
                return reading;
            }
        };
        let mut at = 0;
        let is_list = events.len() > 1;
        while let Some(event) = events.next() {
            let index = is_list.then_some(at);
            at += 1;
            match event {
                Ok(event) => {
                    let format = events.taken_for().map(|format| format.to_string());
                    format.iter().for_each(|format| note(&mut reading.formats, format));
                    note(&mut reading.sources, &event.record.source);
                    note(&mut reading.tables, &event.record.table);
                    let now = EventNow {
                        format,
                        source: Some(event.record.source),
                        table: Some(event.record.table),
                        op: Some(event.op.as_str()),
                        event_id: Some(event.id.value),
                        ..EventNow::blank(index)
                    };
                    reading.tell(now);
                }
                Err(refusal) => reading.refused(&refusal),
            }
        }
        reading.judge();
        reading
    }
}

impl Reading {
    /// Everything it holds can be stored, or needs no storing.
    pub(crate) fn is_understood(&self) -> bool {
        self.processed.rejections.is_empty()
    }

    /// In one word: `understood`, or the first code of what is wrong.
    pub(crate) fn verdict(&self) -> &'static str {
        self.processed.rejections.first().map_or(UNDERSTOOD, |rejection| rejection.code)
    }

    fn refused(&mut self, refusal: &Refusal) {
        if let Some(format) = refusal.format {
            note(&mut self.formats, format.as_str());
        }
        self.place.get_or_insert_with(|| refusal.place.clone());
        self.tell(EventNow {
            format: refusal.format.map(|format| format.to_string()),
            verdict: refusal.code(),
            place: Some(refusal.place.to_string()),
            problem: Some(refusal.problem.to_string()),
            ..EventNow::blank(refusal.event_index)
        });
    }

    fn tell(&mut self, event: EventNow) {
        if self.events.len() < EVENTS_TOLD_MAX {
            self.events.push(event);
        }
    }

    /// Events that decode and yet cannot be stored: their images cannot be compared.
    fn judge(&mut self) {
        for rejection in &self.processed.rejections {
            let event = rejection.event_index.and_then(|index| self.events.get_mut(index));
            if let Some(event) = event.filter(|event| event.verdict == UNDERSTOOD) {
                event.verdict = rejection.code;
                event.problem = Some(rejection.reason.clone());
            }
        }
    }
}

impl EventNow {
    fn blank(index: Option<usize>) -> Self {
        Self {
            index,
            format: None,
            source: None,
            table: None,
            op: None,
            event_id: None,
            verdict: UNDERSTOOD,
            place: None,
            problem: None,
        }
    }
}

fn note(names: &mut BTreeSet<String>, name: &str) {
    if names.len() < NAMES_MAX && !names.contains(name) {
        names.insert(name.to_owned());
    }
}
