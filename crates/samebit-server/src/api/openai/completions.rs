//! `POST /v1/completions`: texts and tokens continued as they are. What evaluations ask.

use super::super::shared::{Extension, Input, Knobs, Samebit, Usage, decode, form_of, inputs, prepare};
use super::completions_stream::CompletionEncoder;
use super::logprobs::Columns;
use super::{Head, MOST_TOP, finish_reason};
use crate::answer::{Choice, Gathered, LastEvent, Plan, ResponseId, gather, start, stream};
use crate::app::App;
use crate::engine::Ending;
use crate::http::gate::Caller;
use crate::http::{ApiError, body, error::json_response};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use samebit_engine::{TokenLogprob, Wants};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

const PREFIX: &str = "cmpl";
/// OpenAI's own default, which evaluations count on.
const DEFAULT_TOKENS: usize = 16;

#[derive(Deserialize)]
struct Body {
    prompt: Value,
    echo: Option<bool>,
    logprobs: Option<usize>,
    best_of: Option<u32>,
    suffix: Option<String>,
    response_format: Option<Value>,
    grammar: Option<String>,
}

/// What of a request the answer's form depends on.
#[derive(Clone, Debug)]
pub(super) struct Echo {
    /// For each prompt: its tokens, and its text if it is to be told.
    pub(super) prompts: Vec<(Vec<u32>, String)>,
    pub(super) echo: bool,
    pub(super) logprobs: bool,
    /// Choices of each prompt.
    pub(super) each: u32,
}

impl Echo {
    /// The prompt of a choice.
    pub(super) fn prompt(&self, choice: u32) -> Option<&(Vec<u32>, String)> {
        self.prompts.get((choice / self.each.max(1)) as usize)
    }
}

pub(crate) async fn completions(
    State(app): State<Arc<App>>,
    axum::Extension(caller): axum::Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let bytes = body::read(&app, request).await?;
    let knobs: Knobs = body::parse(&bytes)?;
    let body: Body = body::parse(&bytes)?;
    drop(bytes);
    let last = LastEvent::from_headers(&headers, PREFIX)?;
    let extension = Extension::of(&app, knobs.samebit.clone(), &headers)?;
    let (streams, usage) = (knobs.streams(), knobs.include_usage());
    let draft = extension.resume_tokens.clone();
    let (plan, echo) = prepare(&app, move |app| plan(app, &body, &knobs, draft)).await?;
    let digest = plan.digest(&app);
    let choices = plan.all_choices();
    // The echo, text that was held back, the end, and the use.
    let id = ResponseId::of(PREFIX, last.as_ref(), &digest, choices, plan.most_tokens(&app) + 4)?;
    let head = Head::new(&app, &id, "text_completion");
    let prompt = plan.prompt_tokens();
    if streams {
        let encoder = CompletionEncoder::new(&app, head, echo, choices, prompt, usage, extension.wanted);
        let answers = start(&app, &caller, plan).await?;
        return Ok(stream(answers, Box::new(encoder), &id, choices, last));
    }
    // Of several prompts it could not be told where one ends.
    let prompt_ids = (extension.wanted && plan.prompts.len() == 1).then(|| plan.prompts.concat());
    let mut gathered = gather(start(&app, &caller, plan).await?, echo.prompts.len(), echo.each).await?;
    let usage = Usage::new(prompt, gathered.generated() as u64);
    let choices =
        (0..).zip(&gathered.choices).map(|(index, choice)| choice_body(&app, &echo, &gathered, index, choice));
    let choices = choices.collect();
    let samebit = extension.wanted.then(|| Samebit::whole(&app, prompt_ids, &mut gathered.choices));
    Ok(json_response(StatusCode::OK, &Completion { head, choices, usage, samebit }))
}

fn plan(app: &Arc<App>, body: &Body, knobs: &Knobs, draft: Vec<u32>) -> Result<(Plan, Echo), ApiError> {
    let each = knobs.choices()?;
    if body.logprobs.is_some_and(|top| top > MOST_TOP) {
        return Err(ApiError::field("logprobs", format!("ask for at most {MOST_TOP}")));
    }
    if body.best_of.is_some_and(|best| best != each) {
        return Err(ApiError::field("best_of", "all choices are given: leave it out, or let it equal n"));
    }
    if body.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        return Err(ApiError::field("suffix", "texts are continued at their end: leave it out"));
    }
    let prompts = inputs(app, "prompt", &body.prompt)?;
    if prompts.len().saturating_mul(each as usize) > app.options.choices {
        return Err(ApiError::field("prompt", format!("prompts times n may be {}", app.options.choices)));
    }
    let echo = body.echo.unwrap_or(false);
    let told = prompts.into_iter().map(|Input { tokens, text }| match (echo, text) {
        (false, _) => Ok((tokens, String::new())),
        (true, Some(text)) => Ok((tokens, text)),
        (true, None) => decode(app, &tokens).map(|text| (tokens, text)),
    });
    let told: Vec<(Vec<u32>, String)> = told.collect::<Result<_, ApiError>>()?;
    let plan = Plan {
        prompts: told.iter().map(|(tokens, _)| tokens.clone()).collect(),
        field: "prompt",
        choices: each,
        request: knobs.request(app, Some(app.options.predict.unwrap_or(DEFAULT_TOKENS)))?,
        stops: knobs.stops()?,
        shown: Arc::default(),
        logprobs: body.logprobs,
        prompt_logprobs: body.logprobs.filter(|_| echo),
        grammar: form_of(app, body.response_format.as_ref(), body.grammar.as_deref())?,
        draft,
        priority: knobs.priority(),
        wants: Wants::Tokens,
    };
    Ok((plan, Echo { prompts: told, echo, logprobs: body.logprobs.is_some(), each }))
}

#[derive(Serialize)]
struct Completion {
    #[serde(flatten)]
    head: Head,
    choices: Vec<ChoiceBody>,
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    samebit: Option<Samebit>,
}

/// A choice, or what an event brings of it.
#[derive(Serialize)]
pub(super) struct ChoiceBody {
    pub(super) text: String,
    pub(super) index: u32,
    pub(super) logprobs: Option<Columns>,
    pub(super) finish_reason: Option<&'static str>,
}

fn choice_body(app: &App, echo: &Echo, gathered: &Gathered, index: u32, choice: &Choice) -> ChoiceBody {
    let empty = (Vec::new(), String::new());
    let (prompt, text) = echo.prompt(index).unwrap_or(&empty);
    let told = gathered.prompts.get((index / echo.each.max(1)) as usize).map_or(&[][..], Vec::as_slice);
    let logprobs = echo.logprobs.then(|| {
        let mut columns = Columns::default();
        if echo.echo {
            prompt_columns(app, prompt, told, &mut columns);
        }
        choice.logprobs.iter().for_each(|told| columns.push(&app.model, told));
        columns
    });
    let ending = choice.done.as_ref().map_or(Ending::Length, |done| done.ending);
    let text = if echo.echo { format!("{text}{}", choice.text) } else { choice.text.clone() };
    ChoiceBody { text, index, logprobs, finish_reason: Some(finish_reason(ending, 0)) }
}

/// A prompt's tokens: of the first nothing is known, for it follows on nothing.
pub(super) fn prompt_columns(app: &App, prompt: &[u32], told: &[TokenLogprob], columns: &mut Columns) {
    if let Some(&first) = prompt.first() {
        columns.unknown(&app.model, first);
    }
    told.iter().for_each(|told| columns.push(&app.model, told));
}
