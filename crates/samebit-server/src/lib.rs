//! The HTTP server of samebit: OpenAI's interface and llama.cpp's over one batching engine.
//!
//! One thread owns the engine's batch and runs its steps ([`engine`]). Requests come to it through a channel, and what happens goes
//! out through a channel for each request. Text, stop strings and their cut are made in that thread, token by token, so that an answer
//! and its digest depend on the request alone. Everything else (parsing, templates, JSON, sockets) is elsewhere and may be slow.
//!
//! ```text
//! http/    sockets, limits, keys, the error body        knows no API
//! api/     OpenAI's and llama.cpp's requests and bodies  knows no socket
//! tools/   calls of tools in a model's text              knows no request
//! answer/  from a plan to events, bodies or streams      knows no API
//! engine/  the thread                                    knows no HTTP
//! telemetry/  spans of requests                          knows neither
//! ```

mod answer;
mod api;
mod app;
mod engine;
mod http;
mod log;
mod metrics;
mod model;
mod options;
mod telemetry;
mod tools;

pub use http::gate::is_local;
pub use http::{Running, ServeError, Stopped};
pub use log::{LogFormat, LogLevel, finish as finish_log, init as init_log, say};
pub use model::Model;
pub use options::Options;

/// Starts serving: binds the address and returns at once; the server runs on threads of its own.
///
/// # Errors
/// An address that cannot be bound, an option that makes no sense, a system that gives no threads.
pub fn start(model: Model, options: Options) -> Result<Running, ServeError> {
    let mut options = options.checked()?;
    // Below 0 as at 0 the likeliest token is taken: requests and `/props` know the latter.
    options.sampling.temperature = options.sampling.temperature.max(0.0);
    api::bounds::check(&options.sampling, model.engine.vocab_size())
        .map_err(|wrong| ServeError::Option(wrong.message))?;
    http::start(app::App::new(model, options)?)
}
