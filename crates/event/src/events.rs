//! The events of a message, read one by one.

use std::vec;

use afterimage_json::Pointer;

use crate::delivery::Delivery;
use crate::fields::Fields;
use crate::list::Element;
use crate::refusal::{Fault, Layer, Place, Problem, Refusal, Spot};
use crate::{ChangeEvent, Format, OWN_SOURCE, detect, native, sequin};

/// The events of a message in order, each read when it is asked for: a message of many is never in memory as a whole.
#[derive(Debug)]
pub struct Events<'a> {
    delivery: Delivery<'a>,
    layer: Layer,
    queue: Queue<'a>,
    taken_for: Option<Format>,
}

/// What is still to be read.
#[derive(Debug)]
pub(crate) enum Queue<'a> {
    /// One event, not in a list.
    One(Option<Fields<'a>>),
    /// Elements of a list, and the number of the next.
    List(vec::IntoIter<Element<'a>>, usize),
}

impl<'a> Queue<'a> {
    pub(crate) const fn one(fields: Fields<'a>) -> Self {
        Self::One(Some(fields))
    }

    pub(crate) fn list(elements: Vec<Element<'a>>) -> Self {
        Self::List(elements.into_iter(), 0)
    }
}

impl<'a> Events<'a> {
    pub(crate) const fn new(delivery: Delivery<'a>, layer: Layer, queue: Queue<'a>) -> Self {
        Self { delivery, layer, queue, taken_for: None }
    }

    /// What the event that was read last was taken for; `None` when that could not be told.
    #[must_use]
    pub const fn taken_for(&self) -> Option<Format> {
        self.taken_for
    }

    fn read(&mut self, fields: Result<Fields<'a>, Fault>, index: Option<usize>) -> Result<ChangeEvent<'a>, Refusal> {
        let pinned = self.delivery.settings.format;
        self.taken_for = pinned;
        let fields = fields.map_err(|fault| self.refusal(pinned, index, fault))?;
        let Some(format) = pinned.or_else(|| detect::format(&fields)) else {
            return Err(self.refusal(None, index, Fault::whole(Problem::UnknownShape)));
        };
        self.taken_for = Some(format);
        let event = match format {
            Format::Native => native::read(fields, &self.delivery, index),
            Format::Sequin => sequin::read(fields, &self.delivery, index),
            Format::Sns if index.is_some() => Err(Fault::whole(Problem::NestedEnvelope)),
            Format::Sns => Err(Fault::new(["Type"], Problem::BadValue("Notification or a confirmation"))),
            other => Err(Fault::whole(Problem::NotSupported(other))),
        };
        // Here, where all formats pass.
        let event = event.and_then(|event| match event.record.source.as_str() {
            OWN_SOURCE => Err(Fault::whole(Problem::ReservedSource)),
            _ => Ok(event),
        });
        event.map_err(|fault| self.refusal(Some(format), index, fault))
    }

    fn refusal(&self, format: Option<Format>, event_index: Option<usize>, fault: Fault) -> Refusal {
        let pointer = match event_index {
            None => fault.at,
            Some(index) => {
                let mut pointer = Pointer::root();
                pointer.push_index(index);
                fault.at.segments().for_each(|name| pointer.push(&name));
                pointer
            }
        };
        let place = Place { layer: self.layer, spot: Spot::Pointer(pointer) };
        Refusal { format, event_index, place, problem: fault.problem }
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<ChangeEvent<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let (fields, index) = match &mut self.queue {
            Queue::One(fields) => (Ok(fields.take()?), None),
            Queue::List(elements, next) => {
                let element = elements.next()?;
                let index = *next;
                *next += 1;
                match element {
                    Ok(element) => (Fields::of(element, &[]), Some(index)),
                    Err(flaw) => {
                        let place = Place { layer: self.layer, spot: Spot::Byte(flaw.offset) };
                        let format = self.delivery.settings.format;
                        let problem = flaw.error.into();
                        return Some(Err(Refusal { format, event_index: Some(index), place, problem }));
                    }
                }
            }
        };
        Some(self.read(fields, index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.queue {
            Queue::One(fields) => usize::from(fields.is_some()),
            Queue::List(elements, _) => elements.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Events<'_> {}
