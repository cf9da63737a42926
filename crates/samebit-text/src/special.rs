//! Which tokens have a role: what ends a generation, what begins a text, what is recognised by its text.
//! Knows the vocabulary, and nothing of how text is cut.
//!
//! Files state some of it; the rest goes by tokens' texts, with llama.cpp's lists. Where a list has several
//! texts and the vocabulary several of them, the first in the list gets the role.

use std::collections::BTreeSet;

use crate::ids::Ids;
use crate::vocab::{SpecialIds, TokenType, Vocab};

/// How a token takes part in cutting and printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// The type it prints as.
    pub(crate) kind: TokenType,
    /// Recognised by its text only where special tokens are parsed, and printed only where they are shown.
    pub(crate) control: bool,
    /// Takes the white space before it along.
    pub(crate) strip_left: bool,
    /// Takes the white space after it along.
    pub(crate) strip_right: bool,
}

impl Attributes {
    pub(crate) fn is_user_defined(&self) -> bool {
        self.kind == TokenType::UserDefined
    }

    /// Whether its text stands for itself when printed.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.is_user_defined() || self.is_special()
    }

    /// Whether it is hidden unless special tokens are wanted.
    pub(crate) fn is_special(&self) -> bool {
        self.control || self.kind == TokenType::Unknown
    }
}

/// What [`resolve`] finds.
pub(crate) struct Roles {
    pub(crate) ids: SpecialIds,
    /// What ends a generation.
    pub(crate) end_of_generation: BTreeSet<u32>,
    /// One per token.
    pub(crate) attributes: Vec<Attributes>,
}

const EOT: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "<｜end▁of▁sentence｜>",
    "<end_of_utterance>",
];
const EOM: &[&str] = &["<|eom_id|>"];
const FIM_PREFIX: &[&str] = &[
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<｜fim▁begin｜>",
    "<PRE>",
    "▁<PRE>",
    "<|code_prefix|>",
    "<|prefix|>",
];
const FIM_SUFFIX: &[&str] = &[
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<｜fim▁hole｜>",
    "<SUF>",
    "▁<SUF>",
    "<|code_suffix|>",
    "<|suffix|>",
];
const FIM_MIDDLE: &[&str] = &[
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<｜fim▁end｜>",
    "<MID>",
    "▁<MID>",
    "<|code_middle|>",
    "<|middle|>",
];
const FIM_PAD: &[&str] = &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"];
const FIM_REPO: &[&str] = &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"];
const FIM_SEPARATOR: &[&str] = &["<|file_sep|>"];

/// Texts that end a generation wherever a vocabulary has them.
const END_OF_GENERATION: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];
/// The Harmony format's marks, which are always printed.
const ALWAYS_PRINTED: &[&str] = &["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// Ids where a file states none: of the beginning, the end, and the unknown.
#[derive(Clone, Copy)]
pub(crate) struct DefaultIds {
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) unknown: Option<u32>,
}

/// Finds every token's role. `ids` has each token of `vocab` by its text.
pub(crate) fn resolve(vocab: &Vocab, ids: &Ids, defaults: DefaultIds) -> Roles {
    let mut roles = Roles {
        ids: stated(vocab, defaults),
        end_of_generation: BTreeSet::new(),
        attributes: (0..vocab.tokens.len()).map(|id| attributes_of(vocab.token_type(id))).collect(),
    };
    roles.detect_by_text(ids);
    roles.collect_ends(ids);
    roles.apply_exceptions(ids);
    strip_spaces(vocab, ids, &mut roles.attributes);
    roles
}

fn attributes_of(kind: TokenType) -> Attributes {
    Attributes { kind, control: kind == TokenType::Control, strip_left: false, strip_right: false }
}

/// What the file states, or else the defaults; ids beyond the vocabulary do not count.
fn stated(vocab: &Vocab, defaults: DefaultIds) -> SpecialIds {
    let within = |id: &u32| (*id as usize) < vocab.tokens.len();
    let or = |stated: Option<u32>, default: Option<u32>| stated.filter(within).or(default.filter(within));
    let stated = &vocab.ids;
    SpecialIds {
        bos: or(stated.bos, defaults.bos),
        eos: or(stated.eos, defaults.eos),
        eot: or(stated.eot, None),
        eom: or(stated.eom, None),
        unknown: or(stated.unknown, defaults.unknown),
        fim_prefix: or(stated.fim_prefix, None),
        fim_suffix: or(stated.fim_suffix, None),
        fim_middle: or(stated.fim_middle, None),
        fim_pad: or(stated.fim_pad, None),
        fim_repo: or(stated.fim_repo, None),
        fim_separator: or(stated.fim_separator, None),
    }
}

fn find(ids: &Ids, text: &str) -> Option<u32> {
    ids.get(text.as_bytes())
}

impl Roles {
    /// Fills roles that the file does not state, by text; such a token is a control token whatever its type.
    fn detect_by_text(&mut self, ids: &Ids) {
        let slots = [
            (&mut self.ids.eot, EOT),
            (&mut self.ids.eom, EOM),
            (&mut self.ids.fim_prefix, FIM_PREFIX),
            (&mut self.ids.fim_suffix, FIM_SUFFIX),
            (&mut self.ids.fim_middle, FIM_MIDDLE),
            (&mut self.ids.fim_pad, FIM_PAD),
            (&mut self.ids.fim_repo, FIM_REPO),
            (&mut self.ids.fim_separator, FIM_SEPARATOR),
        ];
        for (slot, texts) in slots {
            if slot.is_none()
                && let Some(id) = texts.iter().find_map(|text| find(ids, text))
            {
                *slot = Some(id);
                self.attributes[id as usize].control = true;
            }
        }
    }

    fn collect_ends(&mut self, ids: &Ids) {
        for id in END_OF_GENERATION.iter().filter_map(|text| find(ids, text)) {
            self.end_of_generation.insert(id);
            self.attributes[id as usize].control = true;
        }
        for id in ALWAYS_PRINTED.iter().filter_map(|text| find(ids, text)) {
            self.attributes[id as usize] = attributes_of(TokenType::UserDefined);
        }
        let by_role = &self.ids;
        let by_role = [by_role.fim_pad, by_role.fim_repo, by_role.fim_separator, by_role.eos, by_role.eot, by_role.eom];
        self.end_of_generation.extend(by_role.into_iter().flatten());
    }

    /// Two texts that end a generation in most vocabularies and not in some.
    fn apply_exceptions(&mut self, ids: &Ids) {
        let ending = |text: &str| find(ids, text).filter(|id| self.end_of_generation.contains(id));
        let calls = ending("<|call|>").or(ending("<|calls|>")).is_some();
        let harmony = calls && (ending("<|return|>").is_some() || ending("<|flush|>").is_some());
        let plain_s = ending("<|tool_response>").or(ending("<|plamo:eos|>")).is_some();
        let end = ending("<|end|>").filter(|_| harmony);
        let s = ending("</s>").filter(|_| plain_s);
        for (id, kind) in [(end, TokenType::UserDefined), (s, TokenType::Normal)] {
            if let Some(id) = id {
                self.end_of_generation.remove(&id);
                self.attributes[id as usize] = attributes_of(kind);
            }
        }
    }
}

/// Tokens that take white space along, in the models whose converters could not say so.
fn strip_spaces(vocab: &Vocab, ids: &Ids, attributes: &mut [Attributes]) {
    let name = vocab.name.to_ascii_lowercase();
    let mask = if ["jina-v2-de", "jina-v2-es", "jina-v2-code"].iter().any(|pre| vocab.pre.contains(pre)) {
        Some("<mask>")
    } else if name.contains("phi-3") || name.contains("phi3") {
        for attributes in attributes.iter_mut().filter(|attributes| attributes.is_verbatim()) {
            attributes.strip_right = true;
        }
        for (text, strip) in [("</s>", true), ("<unk>", false), ("<s>", false), ("<|endoftext|>", false)] {
            if let Some(id) = find(ids, text) {
                attributes[id as usize].strip_right = strip;
            }
        }
        None
    } else if name.contains("modern-bert") {
        Some("[MASK]")
    } else {
        None
    };
    if let Some(id) = mask.and_then(|text| find(ids, text)) {
        attributes[id as usize].strip_left = true;
    }
}
