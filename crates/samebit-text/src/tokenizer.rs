//! The tokenizer of a model: text to ids and ids to text. Knows nothing of models beyond their vocabulary.

use std::borrow::Cow;
use std::collections::BTreeSet;

use samebit_gguf::{Metadata, Strings};

use crate::alphabet;
use crate::bpe::Bpe;
use crate::detokenize;
use crate::error::TextError;
use crate::ids::Ids;
use crate::partition::{Fragment, Partition, Sought};
use crate::pretokenizer::table::{self, Spec};
use crate::special::{self, Attributes, DefaultIds};
use crate::spm::{self, Spm};
use crate::vocab::{SpecialIds, TokenType, Vocab};

/// What to make of a text beside its plain words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Adds the tokens for the beginning and the end, where the model wants them.
    pub add_special: bool,
    /// Takes the text of special tokens (`<|im_end|>` …) for these tokens. Off for text that a user wrote.
    pub parse_special: bool,
}

/// How to print tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Leaves out the tokens for the beginning and the end that encoding adds, and the space that it adds.
    pub remove_special: bool,
    /// Prints special tokens; otherwise they print as nothing.
    pub unparse_special: bool,
    /// Removes spaces before punctuation and English contractions, if the vocabulary's kind does so.
    pub clean_spaces: bool,
}

/// A model's tokenizer.
///
/// Ids are indices of `tokenizer.ggml.tokens`. Encoding takes time proportional to n log n for n bytes of text,
/// whatever they are.
pub struct Tokenizer {
    ids: Ids,
    texts: Texts,
    attributes: Vec<Attributes>,
    partition: Partition,
    kind: Kind,
    roles: SpecialIds,
    end_of_generation: BTreeSet<u32>,
    add_bos: bool,
    add_eos: bool,
    add_space_prefix: bool,
    clean_spaces: bool,
}

enum Kind {
    Bpe(Bpe),
    Spm(Spm),
}

/// Texts by id, end to end.
struct Texts {
    bytes: Vec<u8>,
    /// Where each text ends.
    ends: Vec<usize>,
}

impl Texts {
    fn get(&self, id: u32) -> Option<&[u8]> {
        let id = id as usize;
        let end = *self.ends.get(id)?;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        Some(&self.bytes[start..end])
    }
}

/// Whether `tokenizer.ggml.model` names a kind of tokenizer that there is here.
pub(crate) fn is_supported(model: &str) -> bool {
    matches!(model, "llama" | "gpt2" | "gemma4")
}

/// What goes by the model and the pre-tokenizer where the file does not say.
struct Defaults {
    ids: DefaultIds,
    add_bos: bool,
    add_space_prefix: bool,
    clean_spaces: bool,
    /// `None` for SPM.
    pre: Option<&'static Spec>,
}

fn defaults(vocab: &Vocab) -> Result<Defaults, TextError> {
    let name = match vocab.model.as_str() {
        "llama" => {
            let ids = DefaultIds { bos: Some(1), eos: Some(2), unknown: Some(0) };
            return Ok(Defaults { ids, add_bos: true, add_space_prefix: true, clean_spaces: false, pre: None });
        }
        "gpt2" => vocab.pre.as_str(),
        "gemma4" => "gemma4",
        model => return Err(TextError::Model(model.to_owned())),
    };
    let spec = table::find(name).ok_or_else(|| TextError::PreTokenizer(name.to_owned()))?;
    // GPT-2's own numbers; llama.cpp gives them to every such vocabulary.
    let gpt2 = Some(11).filter(|_| vocab.model == "gpt2");
    let ids = DefaultIds { bos: gpt2.filter(|_| !spec.no_default_bos), eos: gpt2, unknown: None };
    Ok(Defaults {
        ids,
        add_bos: spec.add_bos,
        add_space_prefix: false,
        clean_spaces: spec.clean_spaces,
        pre: Some(spec),
    })
}

impl Tokenizer {
    /// The tokenizer of a GGUF file.
    ///
    /// # Errors
    /// The vocabulary is missing, of another kind, or contradicts itself.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self, TextError> {
        Self::new(Vocab::from_metadata(metadata)?)
    }

    /// The tokenizer of a vocabulary.
    ///
    /// # Errors
    /// The vocabulary is of another kind, or contradicts itself.
    pub fn new(mut vocab: Vocab) -> Result<Self, TextError> {
        vocab.check()?;
        let defaults = defaults(&vocab)?;
        let ids = name_tokens(&vocab.tokens)?;
        let roles = special::resolve(&vocab, &ids, defaults.ids);
        let escape_spaces = defaults.pre.is_none_or(|spec| spec.escape_spaces);
        let force_bos = defaults.pre.is_some_and(|spec| spec.force_bos);
        let kind = match defaults.pre {
            Some(spec) => Kind::Bpe(Bpe::new(spec, &merges(&mut vocab)?, &ids)?),
            None => Kind::Spm(Spm::new(std::mem::take(&mut vocab.scores), &ids, roles.ids.unknown)),
        };
        Ok(Tokenizer {
            texts: printed(ids.texts(), &roles.attributes, escape_spaces),
            partition: Partition::new(sought(ids.texts(), &roles.attributes)),
            kind,
            ids,
            attributes: roles.attributes,
            roles: roles.ids,
            end_of_generation: roles.end_of_generation,
            add_bos: vocab.add_bos.unwrap_or(defaults.add_bos) || force_bos,
            add_eos: vocab.add_eos.unwrap_or(false),
            add_space_prefix: vocab.add_space_prefix.unwrap_or(defaults.add_space_prefix),
            clean_spaces: defaults.clean_spaces,
        })
    }

    /// The ids of a text. Bytes that are not UTF-8 are kept where the vocabulary has tokens for bytes (SPM), and
    /// become U+FFFD elsewhere.
    pub fn encode(&self, text: impl AsRef<[u8]>, options: EncodeOptions) -> Vec<u32> {
        let text = text.as_ref();
        let mut out = Vec::with_capacity(text.len() / 4 + 2);
        if options.add_special && self.add_bos {
            out.extend(self.roles.bos);
        }
        let mut after_special = true;
        for fragment in self.partition.split(text, options.parse_special) {
            match fragment {
                Fragment::Token(id) => out.push(id),
                Fragment::Text(start, end) => {
                    let space = self.add_space_prefix && after_special;
                    self.encode_text(&text[start..end], space, &mut out);
                }
            }
            after_special = matches!(fragment, Fragment::Token(_));
        }
        if options.add_special && self.add_eos {
            out.extend(self.roles.eos);
        }
        out
    }

    /// The ids of plain text, after a space if that is wanted and the vocabulary's kind has it.
    pub(crate) fn encode_text(&self, text: &[u8], space: bool, out: &mut Vec<u32>) {
        match &self.kind {
            Kind::Bpe(bpe) => bpe.encode(text, &self.ids, out),
            Kind::Spm(spm) if space => spm.encode(&[b" ", text].concat(), &self.ids, out),
            Kind::Spm(spm) => spm.encode(text, &self.ids, out),
        }
    }

    /// The text of tokens, as bytes: a token may be a part of a character. The inverse of [`Self::encode`] with
    /// `remove_special` as that had `add_special`, and `unparse_special` as it had `parse_special`.
    ///
    /// # Errors
    /// An id is outside the vocabulary.
    pub fn decode(&self, tokens: &[u32], options: DecodeOptions) -> Result<Vec<u8>, TextError> {
        let (mut tokens, mut remove_space) = (tokens, self.add_space_prefix);
        if options.remove_special
            && self.add_bos
            && let Some((&first, rest)) = tokens.split_first()
            && Some(first) == self.roles.bos
        {
            (tokens, remove_space) = (rest, false);
        }
        if options.remove_special
            && self.add_eos
            && let Some((&last, rest)) = tokens.split_last()
            && Some(last) == self.roles.eos
        {
            tokens = rest;
        }
        let mut out = Vec::with_capacity(tokens.len() * 4);
        for &id in tokens {
            let piece = self.shown(id, options.unparse_special)?;
            out.extend_from_slice(piece.strip_prefix(b" ").filter(|_| remove_space).unwrap_or(piece));
            remove_space = false;
        }
        Ok(if options.clean_spaces && self.clean_spaces { detokenize::clean_spaces(&out) } else { out })
    }

    /// What a token prints as; nothing for a special token unless these are shown.
    pub(crate) fn shown(&self, id: u32, special: bool) -> Result<&[u8], TextError> {
        let piece = self.texts.get(id).ok_or(TextError::TokenId { id, vocab_size: self.vocab_size() })?;
        let hidden = !special && self.attributes[id as usize].is_special();
        Ok(if hidden { b"" } else { piece })
    }

    /// What a token prints as, special tokens too; `None` outside the vocabulary.
    #[must_use]
    pub fn piece(&self, id: u32) -> Option<Cow<'_, [u8]>> {
        self.texts.get(id).map(Cow::Borrowed)
    }

    /// The id of the token whose text in the file is exactly this (U+2581 for spaces, GPT-2's letters for bytes).
    #[must_use]
    pub fn id_of(&self, text: &str) -> Option<u32> {
        self.ids.get(text.as_bytes())
    }

    /// What a token is for, as the file says.
    #[must_use]
    pub fn token_type(&self, id: u32) -> Option<TokenType> {
        self.attributes.get(id as usize).map(|attributes| attributes.kind)
    }

    /// Whether a token is a control token: by its type, or by its text.
    #[must_use]
    pub fn is_control(&self, id: u32) -> bool {
        self.attributes.get(id as usize).is_some_and(|attributes| attributes.control)
    }

    /// The token that begins a text.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.roles.bos
    }

    /// The token that ends a text.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.roles.eos
    }

    /// The token that ends a turn.
    #[must_use]
    pub fn eot(&self) -> Option<u32> {
        self.roles.eot
    }

    /// All tokens with a role.
    #[must_use]
    pub fn special_ids(&self) -> &SpecialIds {
        &self.roles
    }

    /// Whether a token ends a generation.
    #[must_use]
    pub fn is_eog(&self, id: u32) -> bool {
        self.end_of_generation.contains(&id)
    }

    /// The tokens that end a generation, ascending.
    #[must_use]
    pub fn eog_ids(&self) -> Vec<u32> {
        self.end_of_generation.iter().copied().collect()
    }

    /// Whether `add_special` puts a token at the beginning.
    #[must_use]
    pub fn adds_bos(&self) -> bool {
        self.add_bos && self.roles.bos.is_some()
    }

    /// Whether `add_special` puts a token at the end.
    #[must_use]
    pub fn adds_eos(&self) -> bool {
        self.add_eos && self.roles.eos.is_some()
    }

    /// The number of tokens; ids are below it.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.attributes.len()
    }

    /// The first id that both know and do not mean the same text by: `None` if one vocabulary is the other, padding aside.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<u32> {
        // A vocabulary's ids are u32.
        let both = self.vocab_size().min(other.vocab_size()) as u32;
        (0..both).find(|&id| self.texts.get(id) != other.texts.get(id))
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::Bpe(_) => "BPE",
            Kind::Spm(_) => "SPM",
        };
        f.debug_struct("Tokenizer").field("kind", &kind).field("vocab_size", &self.vocab_size()).finish_non_exhaustive()
    }
}

/// Ids by text. A token without a text gets a name, so that no search finds it everywhere.
fn name_tokens(tokens: &Strings) -> Result<Ids, TextError> {
    let mut ids = Ids::with_capacity(tokens.len());
    for (id, text) in (0..).zip(tokens.iter()) {
        let inserted = match text {
            b"" => ids.insert(format!("[EMPTY_{id}]").as_bytes()),
            text => ids.insert(text),
        };
        inserted.map_err(|first| TextError::DuplicateToken { first, second: id })?;
    }
    Ok(ids)
}

/// The merges, which one vocabulary in the field does without.
fn merges(vocab: &mut Vocab) -> Result<Strings, TextError> {
    match vocab.merges.take() {
        Some(merges) => Ok(merges),
        None if vocab.pre == "kimi-k2" => Ok(Strings::new()),
        None => Err(TextError::NoMerges),
    }
}

fn sought(tokens: &Strings, attributes: &[Attributes]) -> Vec<Sought> {
    let all = (0..).zip(tokens.iter().zip(attributes));
    let sought = |(id, (text, attributes)): (u32, (&[u8], &Attributes))| Sought {
        id,
        text: text.into(),
        only_parsed: attributes.is_special(),
        strip_left: attributes.strip_left,
        strip_right: attributes.strip_right,
    };
    all.filter(|(_, (_, attributes))| attributes.is_verbatim()).map(sought).collect()
}

/// What each token prints as.
fn printed(tokens: &Strings, attributes: &[Attributes], escape_spaces: bool) -> Texts {
    let mut texts = Texts { bytes: Vec::new(), ends: Vec::with_capacity(tokens.len()) };
    for (text, attributes) in tokens.iter().zip(attributes) {
        match attributes.kind {
            _ if attributes.is_verbatim() => texts.bytes.extend_from_slice(text),
            TokenType::Normal if escape_spaces => texts.bytes.extend(spm::unescape_spaces(text)),
            TokenType::Normal => texts.bytes.extend(alphabet::read(text)),
            TokenType::Byte => texts.bytes.push(detokenize::byte_of(text)),
            _ => {}
        }
        texts.ends.push(texts.bytes.len());
    }
    texts
}
