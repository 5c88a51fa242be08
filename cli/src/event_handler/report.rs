//! What became of each step, as lines for people or as JSON for programs.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::plan::Target;
use crate::node::say;

/// Columns of the outcome and the step's name.
const NAME_WIDTH: usize = 11;
/// Where what follows a step's own line begins.
const INDENT: &str = "                     ";
/// Where it ends.
const WIDTH: usize = 100;

/// Collects steps; prints each at once where people read.
pub(super) struct Report {
    form: Form,
    handlers: Vec<Checked>,
}

enum Form {
    Text,
    Json,
}

/// A step that went well.
pub(super) struct Done<T> {
    /// What the next steps need of it.
    pub(super) value: T,
    /// What was found, in words.
    pub(super) detail: String,
}

/// A step that failed, after which there are no others.
#[derive(Debug)]
pub(super) struct Failure {
    /// What happened, in words.
    pub(super) detail: String,
    /// What to do about it, if there is something to say.
    pub(super) advice: Option<String>,
}

/// Outcome of one event handler.
#[derive(Serialize)]
struct Checked {
    hub: String,
    number: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    ok: bool,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    step: &'static str,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Option<f64>,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Failed,
    Skipped,
}

#[derive(Serialize)]
struct Whole<'a> {
    ok: bool,
    handlers: &'a [Checked],
}

impl Failure {
    /// A failure with advice.
    pub(super) fn new(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { detail: detail.into(), advice: Some(advice.into()) }
    }
}

impl Report {
    /// For people.
    pub(super) fn text() -> Self {
        Self { form: Form::Text, handlers: Vec::new() }
    }

    /// For programs.
    pub(super) fn json() -> Self {
        Self { form: Form::Json, handlers: Vec::new() }
    }

    /// The steps that follow are of this one.
    pub(super) fn begin(&mut self, target: &Target) {
        let url = target.handler.as_ref().map(|handler| handler.url.to_string());
        if matches!(self.form, Form::Text) {
            let gap = if self.handlers.is_empty() { "" } else { "\n" };
            let shown =
                url.as_ref().map_or(String::new(), |url| format!(", event handler {}: {url}", target.number));
            say(&format!("{gap}Hub \"{}\"{shown}\n", target.hub));
        }
        let (hub, number) = (target.hub.to_string(), target.number);
        self.handlers.push(Checked { hub, number, url, ok: true, steps: Vec::new() });
    }

    /// Takes a step and notes how it ended and how long it took. Nothing when it failed.
    pub(super) async fn step<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<Done<T>, Failure>>,
    ) -> Option<T> {
        let started = Instant::now();
        let result = work.await;
        let took = Some(started.elapsed());
        match result {
            Ok(Done { value, detail }) => {
                self.note(name, Outcome::Ok, took, Failure { detail, advice: None });
                Some(value)
            }
            Err(failure) => {
                self.note(name, Outcome::Failed, took, failure);
                None
            }
        }
    }

    /// Notes what is known without doing anything.
    pub(super) fn found(&mut self, name: &'static str, detail: impl Into<String>) {
        self.note(name, Outcome::Ok, None, Failure { detail: detail.into(), advice: None });
    }

    /// Notes that a step is left out, and why.
    pub(super) fn skipped(&mut self, name: &'static str, detail: impl Into<String>) {
        self.note(name, Outcome::Skipped, None, Failure { detail: detail.into(), advice: None });
    }

    /// Notes a step that failed without doing anything.
    pub(super) fn failed(&mut self, name: &'static str, failure: Failure) {
        self.note(name, Outcome::Failed, None, failure);
    }

    /// Prints what is left to print, and says whether all is well.
    pub(super) fn finish(self) -> bool {
        let failed = self.handlers.iter().filter(|handler| !handler.ok).count();
        let all = self.handlers.len();
        match self.form {
            Form::Text if failed == 0 => say(&format!("\nAll is well: {all} checked.\n")),
            Form::Text => say(&format!("\n{failed} of {all} failed.\n")),
            Form::Json => {
                let whole = Whole { ok: failed == 0, handlers: &self.handlers };
                // Texts, numbers and lists always have a JSON form.
                let text = serde_json::to_string_pretty(&whole).unwrap_or_default();
                say(&format!("{text}\n"));
            }
        }
        failed == 0
    }

    fn note(&mut self, name: &'static str, outcome: Outcome, took: Option<Duration>, told: Failure) {
        let Failure { detail, advice } = told;
        let milliseconds = took.map(|took| (took.as_secs_f64() * 10_000.0).round() / 10.0);
        let step = Step { step: name, outcome, milliseconds, detail, advice };
        if matches!(self.form, Form::Text) {
            say(&line(&step));
        }
        if let Some(handler) = self.handlers.last_mut() {
            handler.ok &= outcome != Outcome::Failed;
            handler.steps.push(step);
        }
    }
}

fn line(step: &Step) -> String {
    let outcome = match step.outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "failed",
        Outcome::Skipped => "-",
    };
    let took = step.milliseconds.map_or(String::new(), |milliseconds| format!(" ({milliseconds} ms)"));
    let advice = step.advice.as_deref().map_or(String::new(), paragraph);
    format!("  {outcome:<6} {:<NAME_WIDTH$} {}{took}\n{advice}", step.step, step.detail)
}

/// Advice in lines that are not too long.
fn paragraph(text: &str) -> String {
    let mut lines = String::new();
    let mut column = WIDTH;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column + 1 + length > WIDTH {
            let end = if lines.is_empty() { "" } else { "\n" };
            lines = format!("{lines}{end}{INDENT}{word}");
            column = INDENT.len() + length;
        } else {
            lines = format!("{lines} {word}");
            column += 1 + length;
        }
    }
    lines + "\n"
}
