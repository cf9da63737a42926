//! A native stack of known size for what recurses as deep as a template nests. Knows nothing of templates.

use super::TemplateError;

/// Twice what the deepest permitted recursion takes without optimisation; only the part that is touched is ever committed.
#[cfg(not(target_family = "wasm"))]
const STACK_BYTES: usize = 32 << 20;

/// Runs `work` on a thread with a stack of its own, so that it does not matter how much of theirs callers have left.
///
/// # Errors
/// If the system refuses a thread.
#[cfg(not(target_family = "wasm"))]
pub(super) fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, TemplateError> {
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("chat-template".into()).stack_size(STACK_BYTES).spawn_scoped(scope, work);
        match thread.map(|thread| thread.join()) {
            Ok(Ok(result)) => Ok(result),
            // A panic is a bug, here as on the caller's own stack.
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => Err(TemplateError::Runtime { line: 0, message: format!("cannot start a thread: {error}") }),
        }
    })
}

/// WebAssembly has no threads; its stack is set when linking, and overflow traps.
#[cfg(target_family = "wasm")]
pub(super) fn with_stack<T>(work: impl FnOnce() -> T) -> Result<T, TemplateError> {
    Ok(work())
}
