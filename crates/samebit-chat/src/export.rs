//! A conversation as markdown, for people: what was said on the branch that one is on.
//!
//! Knows texts; session files, which are exact, are `file`'s.

use std::path::Path;

use crate::disk::{self, Readers};
use crate::error::ChatError;
use crate::look::parted;
use crate::report::opens_thought;
use crate::session::Ending;
use crate::talk::Talk;

/// What such a file begins with.
const BEGIN: &str = "# Conversation with ";

/// Writes it in place of what the file had; into what is no regular file, such as a pipe that somebody reads.
///
/// # Errors
/// The file cannot be written, or is there and no such conversation.
pub(crate) fn export(path: &Path, talk: &Talk) -> Result<(), ChatError> {
    let text = markdown(talk)?;
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return disk::through(path, text.as_bytes());
    }
    let begin = disk::beginning(path, BEGIN.len() as u64);
    if begin.is_some_and(|begin| !begin.is_empty() && begin != BEGIN.as_bytes()) {
        return Err(disk::access(path, "is there already, and no conversation: give another name"));
    }
    disk::replace(path, text.as_bytes(), Readers::Usual)
}

fn markdown(talk: &Talk) -> Result<String, ChatError> {
    let (model, session) = (talk.model(), talk.session());
    let mut out = format!("{BEGIN}{}\n", model.name);
    if let Some(system) = &talk.settings().system {
        out.push_str(&format!("\n## System\n\n{}\n", system.trim_end()));
    }
    for turn in session.path(session.at()).into_iter().filter_map(|number| session.turn(number)) {
        let (thought, speech) = parted(&turn.answer, opens_thought(talk, turn)?);
        out.push_str(&format!("\n## You\n\n{}\n\n## {}\n\n", turn.user.trim_end(), model.name));
        for line in thought.trim().lines() {
            out.push_str(&format!("> {line}\n"));
        }
        if !thought.trim().is_empty() {
            out.push('\n');
        }
        out.push_str(speech.trim());
        out.push('\n');
        if turn.finish == Ending::Cancelled {
            out.push_str("\n*(stopped)*\n");
        }
    }
    Ok(out)
}
