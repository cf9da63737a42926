//! `/set`: what an answer depends on, and what concerns the terminal.
//!
//! Knows names and values; ranges are the sampler's.

use std::sync::Arc;

use samebit_engine::EngineOptions;

use crate::act::unknown;
use crate::command::{SETTINGS, unquoted};
use crate::error::ChatError;
use crate::form::Format;
use crate::model::Model;
use crate::repl::Repl;
use crate::report;
use crate::settings::Settings;

impl Repl<'_> {
    pub(crate) fn set(&mut self, rest: &str) -> Result<(), ChatError> {
        let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let value = unquoted(value.trim());
        if let ("parameter", Some(("num_ctx" | "ctx_size", positions))) = (name, value.split_once(' ')) {
            return self.set_context(positions.trim());
        }
        let mut settings = self.talk.settings().clone();
        let said = match name {
            "think" | "nothink" => self.thinks(&mut settings, name, value),
            _ => change(&mut settings, name, value),
        };
        match said {
            Some(Ok(line)) => {
                self.talk.set(settings)?;
                self.view.note(&line)
            }
            Some(Err(line)) => self.view.note(&line),
            None => self.set_looks(name),
        }
    }

    /// Another context for the same model: nothing is loaded again.
    fn set_context(&mut self, positions: &str) -> Result<(), ChatError> {
        let Ok(context) = positions.parse::<usize>() else {
            return self.view.note(&format!("num_ctx: {positions} is no whole number"));
        };
        let model = self.talk.model();
        let with = |engine: &samebit_engine::Engine| {
            engine.with_options(&EngineOptions { context, ..engine.options().clone() })
        };
        let other = Model { engine: with(&model.engine), draft: model.draft.as_ref().map(with), ..Model::clone(model) };
        let trained = model.engine.model().config().context;
        self.talk.change(Arc::new(other));
        let beyond = if context > trained { "; the model was made for fewer" } else { "" };
        let context = self.talk.model().engine.context();
        self.view.note(&format!("{context} tokens of context{beyond}; the conversation is read anew"))
    }

    /// Thinking, which not every template knows.
    fn thinks(&self, settings: &mut Settings, name: &str, level: &str) -> Option<Result<String, String>> {
        let model = self.talk.model();
        Some(match (name, level) {
            ("think", level) if !level.is_empty() => {
                if !model.has_effort() {
                    return Some(Err("this model's template does not know how hard to think".into()));
                }
                settings.effort = Some(level.to_owned());
                settings.think = model.may_think().then_some(true);
                Ok(format!("the model thinks first: {level}"))
            }
            _ if !model.may_think() => Err("this model's template has no choice about thinking".into()),
            ("think", _) => {
                settings.think = Some(true);
                Ok("the model thinks first".into())
            }
            _ => {
                settings.think = Some(false);
                Ok("the model does not think first".into())
            }
        })
    }

    /// What concerns the terminal.
    fn set_looks(&mut self, name: &str) -> Result<(), ChatError> {
        let line = match name {
            "verbose" | "quiet" => {
                self.options.verbose = name == "verbose";
                let line =
                    if self.options.verbose { "times and counts after each answer" } else { "no times and counts" };
                line.to_owned()
            }
            "wordwrap" | "nowordwrap" => {
                self.view.looks.wordwrap = name == "wordwrap";
                let wrap = self.view.looks.wordwrap;
                if wrap { "lines are broken between words".into() } else { "the terminal breaks lines".to_owned() }
            }
            "hidethinking" | "showthinking" => {
                self.view.looks.thoughts = name == "showthinking";
                let seen = self.view.looks.thoughts;
                if seen {
                    "thoughts are shown".into()
                } else {
                    "thoughts are not shown; /show thinking does".to_owned()
                }
            }
            "history" | "nohistory" => {
                self.input.remember(name == "history");
                let kept = name == "history";
                if kept { "what you type is remembered".into() } else { "what you type is not remembered".to_owned() }
            }
            "" => return self.view.report(&report::set()),
            name => unknown("set", name, SETTINGS.iter().map(|(name, ..)| *name)),
        };
        self.view.note(&line)
    }
}

/// Changes what answers depend on, and says how; `None` where it is nothing of that.
fn change(settings: &mut Settings, name: &str, value: &str) -> Option<Result<String, String>> {
    Some(match (name, value) {
        ("parameter", value) => parameter(settings, value),
        ("seed", "") => Err(format!("/set seed N: a whole number; it is {}", settings.seed)),
        ("seed", value) => {
            settings.set("seed", value).map(|()| format!("seed is {value}; it counts from the next answer on"))
        }
        ("stop", value) => settings.set("stop", value).map(|()| match value {
            "" => "no text ends answers".into(),
            value => format!("{value} ends answers"),
        }),
        ("system", "") => {
            settings.system = None;
            Ok("no system prompt".into())
        }
        ("system", value) => {
            settings.system = Some(value.to_owned());
            Ok("the system prompt is set; the conversation is read anew with it".into())
        }
        ("think_budget", value) => match value.parse::<i64>() {
            Ok(tokens) => {
                settings.think_budget = u32::try_from(tokens).ok();
                Ok(settings.think_budget.map_or("thoughts are as long as they are".into(), |most| {
                    format!("a thought ends after {most} tokens")
                }))
            }
            Err(_) => Err("/set think_budget N: most tokens of a thought; -1: no bound".into()),
        },
        ("format", value) => Format::parse(value).map(|format| {
            settings.format = format;
            format!("answers are {}; it helps to say in the message what is to be in them", settings.format)
        }),
        ("grammar", "") => Err("/set grammar GRAMMAR, such as start: \"yes\" | \"no\"".into()),
        ("grammar", value) => Format::grammar(value).map(|format| {
            settings.format = format;
            "answers are of this grammar".into()
        }),
        ("noformat", _) => {
            settings.format = Format::Text;
            Ok("answers are any text".into())
        }
        ("variable", value) => variable(settings, value),
        _ => return None,
    })
}

fn parameter(settings: &mut Settings, value: &str) -> Result<String, String> {
    // Nothing is a value too where it takes all away.
    let parted = value.split_once(char::is_whitespace).or((value == "stop").then_some(("stop", "")));
    let (name, value) = parted.ok_or("/set parameter NAME VALUE; /show parameters lists them")?;
    settings.set(name, value.trim())?;
    let known = settings.parameters().into_iter().find(|(known, _)| *known == name);
    let greedy = matches!(name, "temperature" | "temp") && settings.sampling.temperature <= 0.0;
    let means = if greedy { ": always the likeliest token" } else { "" };
    Ok(format!("{name} is {}{means}", known.map_or(value.trim().to_owned(), |(_, value)| value)))
}

/// A variable of the template: JSON, or a text as it is.
fn variable(settings: &mut Settings, value: &str) -> Result<String, String> {
    let (name, value) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
    match (name, value.trim()) {
        ("", _) => Err("/set variable NAME JSON".into()),
        (name, "") => {
            settings.variables.remove(name);
            Ok(format!("the template is not told of {name}"))
        }
        (name, value) => {
            // A text needs no quotes, unless it begins as something else does.
            let value = match serde_json::from_str(value) {
                Ok(value) => value,
                Err(error) if value.starts_with(['{', '[', '"']) => return Err(format!("{name}: no JSON: {error}")),
                Err(_) => value.into(),
            };
            let line = format!("{name} is {value}; the conversation is read anew with it");
            settings.variables.insert(name.to_owned(), value);
            settings.variables_fit().map(|()| line)
        }
    }
}
