use std::net::IpAddr;

use afterimage_event::{ID_BYTES_MAX, NAME_BYTES_MAX, RECORD_ID_PARTS_MAX};
use serde_json::{Map, Value, json};

/// The table of entries of a question that names none.
pub const ALL_TABLES: &str = "*";
/// Longest value of a parameter that is kept, in bytes; of a longer one the beginning is.
pub const PARAMETER_BYTES_MAX: usize = 256;
/// Bytes of all parameters that are kept.
pub const PARAMETERS_BYTES_MAX: usize = 4_096;
/// Longest question name and request id that are kept, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// The parameter that says where to go on. It is long, and says nothing that the other parameters and the time do not.
const CURSOR: &str = "cursor";

/// What somebody asked.
#[derive(Clone, Debug)]
pub struct Question<'q> {
    /// Which question: `history`, `counts`, …
    pub name: &'q str,
    /// What it is about; one entry is stored for each. None: about everything of `tenant`.
    pub subjects: &'q [Subject],
    /// The tenant.
    pub tenant: &'q str,
    /// Its parameters, as they were sent.
    pub parameters: &'q [(String, String)],
    /// Is what it names granted to whoever asks? If not, the entry says that the question was refused.
    pub is_granted: bool,
    /// The id of the request.
    pub request_id: &'q str,
    /// Where it came from.
    pub ip: Option<IpAddr>,
    /// With what.
    pub user_agent: Option<&'q str>,
}

/// A record or table that somebody asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The table; none: every table.
    pub table: Option<String>,
    /// The parts of the record's key; none: the whole table.
    pub record_id: Vec<String>,
}

impl Subject {
    /// The table that the entry stands under. What is too long to be a table's name names no table either.
    pub(crate) fn table(&self) -> &str {
        self.table.as_deref().filter(|table| (1..=NAME_BYTES_MAX).contains(&table.len())).unwrap_or(ALL_TABLES)
    }

    pub(crate) fn record_id(&self) -> Vec<String> {
        let kept = self.record_id.iter().take(RECORD_ID_PARTS_MAX);
        kept.map(|part| cut(part, ID_BYTES_MAX)).collect()
    }
}

impl Question<'_> {
    /// The context of its entries: a JSON object of bounded size.
    pub(crate) fn context(&self) -> String {
        let mut parameters = Map::new();
        let (mut bytes, mut left_out) = (0, 0_usize);
        for (name, value) in self.parameters {
            let (name, value) = (cut(name, TEXT_BYTES_MAX), cut(value, PARAMETER_BYTES_MAX));
            bytes += name.len() + value.len();
            if name == CURSOR {
                parameters.insert(name, Value::Bool(true));
            } else if bytes > PARAMETERS_BYTES_MAX {
                left_out += 1;
            } else {
                match parameters.get_mut(&name) {
                    // A parameter that is given several times is a list.
                    Some(Value::Array(values)) => values.push(value.into()),
                    Some(first) => *first = json!([first.take(), value]),
                    None => {
                        parameters.insert(name, value.into());
                    }
                }
            }
        }
        let mut context = Map::new();
        context.insert("question".to_owned(), cut(self.name, TEXT_BYTES_MAX).into());
        context.insert("parameters".to_owned(), parameters.into());
        if left_out > 0 {
            context.insert("parametersLeftOut".to_owned(), left_out.into());
        }
        if !self.is_granted {
            context.insert("refused".to_owned(), Value::Bool(true));
        }
        context.insert("requestId".to_owned(), cut(self.request_id, TEXT_BYTES_MAX).into());
        if let Some(ip) = self.ip {
            context.insert("ip".to_owned(), ip.to_string().into());
        }
        if let Some(user_agent) = self.user_agent {
            context.insert("userAgent".to_owned(), cut(user_agent, TEXT_BYTES_MAX).into());
        }
        Value::Object(context).to_string()
    }
}

/// The beginning of a text, with a sign that there was more.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes_max - '…'.len_utf8())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(parameters: &[(&str, &str)]) -> Value {
        let parameters: Vec<_> = parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let question = Question {
            name: "changes",
            subjects: &[],
            tenant: "default",
            parameters: &parameters,
            is_granted: true,
            request_id: "r-1",
            ip: Some([127, 0, 0, 1].into()),
            user_agent: None,
        };
        serde_json::from_str(&question.context()).unwrap()
    }

    #[test]
    fn a_context_tells_what_was_asked() {
        let told =
            context(&[("table", "orders"), ("op", "delete"), ("op", "update"), ("op", "insert"), ("cursor", "abc")]);
        let parameters = json!({ "table": "orders", "op": ["delete", "update", "insert"], "cursor": true });
        let expected =
            json!({ "question": "changes", "parameters": parameters, "requestId": "r-1", "ip": "127.0.0.1" });
        assert_eq!(told, expected);
    }

    #[test]
    fn a_context_is_bounded_whatever_is_asked() {
        let long = "ä".repeat(10_000);
        let told = context(&[("a", &long)]);
        let kept = told["parameters"]["a"].as_str().unwrap();
        assert!(kept.len() <= PARAMETER_BYTES_MAX && kept.ends_with("ä…"), "{kept}");
        let names: Vec<_> = (0..1_000).map(|n| format!("p{n}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
        let told = context(&many);
        assert!(told.to_string().len() < PARAMETERS_BYTES_MAX + 1_024);
        assert_eq!(
            told["parameters"].as_object().unwrap().len() + told["parametersLeftOut"].as_u64().unwrap() as usize,
            1_000
        );
    }
}
