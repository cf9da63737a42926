//! Every pre-tokenizer that `tokenizer.ggml.pre` may name, as data: how it cuts, and what else goes by its name.
//! Knows neither how patterns run nor what becomes of the pieces.
//!
//! Names, patterns and rules are those that llama.cpp gives these names, for those are what files mean by them;
//! where that departs from the tokenizer a model was published with, llama.cpp's way is followed.

/// One way of cutting each piece into smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Matches of a pattern, and what lies between them.
    Pattern(&'static str),
    /// After each digit of a run of `\p{N}` that a multiple of three follows; not where the run begins.
    DigitsAfter,
    /// Before each ASCII digit that, with those after it, makes a multiple of three.
    DigitsBefore,
}

/// How the text of a piece is spelt before pairs are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// GPT-2's alphabet: one printable character for each byte.
    Bytes,
    /// As it is, and `<0xXX>` for bytes without a token.
    Plain,
}

/// A pre-tokenizer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    /// The values of `tokenizer.ggml.pre`.
    pub(super) names: &'static [&'static str],
    /// Applied in order, each to the pieces of the one before.
    pub(super) cuts: &'static [Cut],
    pub(crate) spelling: Spelling,
    /// Spaces become U+2581 first.
    pub(crate) escape_spaces: bool,
    /// A piece that is a token is that token, whatever the merges say.
    pub(crate) ignore_merges: bool,
    /// A piece of line feeds alone that is a token is that token.
    pub(crate) whole_line_feeds: bool,
    /// The default of `tokenizer.ggml.add_bos_token`.
    pub(crate) add_bos: bool,
    /// Begins with a token for the beginning whatever the file says.
    pub(crate) force_bos: bool,
    /// Without `tokenizer.ggml.bos_token_id` there is no such token (else it is 11).
    pub(crate) no_default_bos: bool,
    /// Text can be tidied of spaces before punctuation when tokens are turned back into it.
    pub(crate) clean_spaces: bool,
}

impl Spec {
    const fn new(names: &'static [&'static str], cuts: &'static [Cut]) -> Self {
        Spec {
            names,
            cuts,
            spelling: Spelling::Bytes,
            escape_spaces: false,
            ignore_merges: false,
            whole_line_feeds: false,
            add_bos: false,
            force_bos: false,
            no_default_bos: false,
            clean_spaces: true,
        }
    }

    const fn plain(self) -> Self {
        Spec { spelling: Spelling::Plain, ..self }
    }

    const fn escape_spaces(self) -> Self {
        Spec { escape_spaces: true, ..self }
    }

    const fn ignore_merges(self) -> Self {
        Spec { ignore_merges: true, ..self }
    }

    const fn whole_line_feeds(self) -> Self {
        Spec { whole_line_feeds: true, ..self }
    }

    const fn add_bos(self) -> Self {
        Spec { add_bos: true, ..self }
    }

    const fn force_bos(self) -> Self {
        Spec { force_bos: true, ..self }
    }

    const fn no_default_bos(self) -> Self {
        Spec { no_default_bos: true, ..self }
    }

    const fn keep_spaces(self) -> Self {
        Spec { clean_spaces: false, ..self }
    }
}

/// The pre-tokenizer of that name; the empty name is a file's that has none.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.names.contains(&name))
}

/// Every value of `tokenizer.ggml.pre` that is known, the empty one included, which stands for a file without it.
pub fn pretokenizer_names() -> impl Iterator<Item = &'static str> {
    SPECS.iter().flat_map(|spec| spec.names).copied()
}

/// `'s`, `'t`, `'re` … as English contracts them.
macro_rules! contraction {
    () => {
        "'(?:[sdmt]|ll|ve|re)"
    };
    (any case) => {
        "'(?i:[sdmt]|ll|ve|re)"
    };
}

/// How most patterns end: lines' ends with the space before them, then other white space, of which the last
/// character is left to the word that follows.
macro_rules! spaces {
    () => {
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    };
}

/// Words with one character of what stands before them, digits as given, runs of the rest.
macro_rules! words {
    ($letters:literal, $digits:literal, $rest:literal) => {
        concat!(r"[^\r\n\p{L}\p{N}]?", $letters, "+|", $digits, "| ?[^", $rest, r"]+[\r\n]*", spaces!())
    };
}

/// The tail of the patterns that keep punctuation and symbols apart from whatever else is no letter.
macro_rules! punctuated_words {
    () => {
        concat!(r"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+")
    };
}

/// Words cut where ASCII's case changes from small to capital.
macro_rules! cased_words {
    ($letter:literal, $suffix:expr) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[",
            $letter,
            "&&[^a-z]]*[",
            $letter,
            "&&[^A-Z]]+",
            $suffix,
            r"|[^\r\n\p{L}\p{N}]?[",
            $letter,
            "&&[^a-z]]+[",
            $letter,
            "&&[^A-Z]]*",
            $suffix,
        )
    };
}

/// GPT-2's own.
const GPT2: Cut = Cut::Pattern(concat!(contraction!(), r"| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"));
const LLAMA3: Cut =
    Cut::Pattern(concat!(contraction!(any case), "|", words!(r"\p{L}", r"\p{N}{1,3}", r"\s\p{L}\p{N}")));
const QWEN2: Cut = Cut::Pattern(concat!(contraction!(any case), "|", words!(r"\p{L}", r"\p{N}", r"\s\p{L}\p{N}")));
const QWEN35: Cut =
    Cut::Pattern(concat!(contraction!(any case), "|", words!(r"[\p{L}\p{M}]", r"\p{N}", r"\s\p{L}\p{M}\p{N}")));
const DIGIT: Cut = Cut::Pattern(r"\p{N}");
const DIGITS: Cut = Cut::Pattern(r"\p{N}+");
const DIGITS_1_TO_3: Cut = Cut::Pattern(r"\p{N}{1,3}");
const THREE_ASCII_DIGITS: Cut = Cut::Pattern("[0-9][0-9][0-9]");
const LINES: Cut = Cut::Pattern(r"[^\n]+|[\n]+");
const LINE_ENDS: Cut = Cut::Pattern(r"[\r\n]");
/// Han ideographs, hiragana, katakana.
const CHINESE_JAPANESE: Cut = Cut::Pattern("[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+");
/// Han ideographs, Hangul, and what lies between U+0800 and them.
const CHINESE_KOREAN: Cut = Cut::Pattern("[\u{4e00}-\u{9fa5}\u{800}-\u{4e00}\u{ac00}-\u{d7ff}]+");
const NOT_PUNCTUATION: Cut = Cut::Pattern(" ?[^(\\s|.,!?\u{2026}\u{3002}\u{ff0c}\u{3001}\u{964}\u{6d4}\u{60c})]+");
/// The cased letters of the scripts that have case.
const CASED_LETTERS: Cut = Cut::Pattern(
    "\\s?[A-Za-z\u{b5}\u{c0}-\u{d6}\u{d8}-\u{f6}\u{f8}-\u{1ba}\u{1bc}-\u{1bf}\u{1c4}-\u{293}\u{295}-\u{2af}\
     \u{370}-\u{373}\u{376}\u{377}\u{37b}-\u{37d}\u{37f}\u{386}\u{388}-\u{38a}\u{38c}\u{38e}-\u{3a1}\
     \u{3a3}-\u{3f5}\u{3f7}-\u{481}\u{48a}-\u{52f}\u{531}-\u{556}\u{10a0}-\u{10c5}\u{13a0}-\u{13f5}\
     \u{13f8}-\u{13fd}\u{1c90}-\u{1cba}\u{1cbd}-\u{1cbf}\u{1d00}-\u{1d2b}\u{1d6b}-\u{1d77}\
     \u{1d79}-\u{1d9a}\u{1e00}-\u{1f15}\u{1f18}-\u{1f1d}\u{1f20}-\u{1f45}\u{1f48}-\u{1f4d}\
     \u{1f50}-\u{1f57}\u{1f59}\u{1f5b}\u{1f5d}\u{1f5f}-\u{1f7d}\u{1f80}-\u{1fb4}\u{1fb6}-\u{1fbc}\u{1fbe}\
     \u{1fc2}-\u{1fc4}\u{1fc6}-\u{1fcc}\u{1fd0}-\u{1fd3}\u{1fd6}-\u{1fdb}\u{1fe0}-\u{1fec}\
     \u{1ff2}-\u{1ff4}\u{1ff6}-\u{1ffc}\u{2102}\u{2107}\u{210a}-\u{2113}\u{2115}\u{2119}-\u{211d}\u{2124}\
     \u{2126}\u{2128}\u{212a}-\u{212d}\u{212f}-\u{2134}\u{2139}\u{213c}-\u{213f}\u{2145}-\u{2149}\u{214e}\
     \u{2183}\u{2184}\u{2c00}-\u{2c7b}\u{2c7e}-\u{2ce4}\u{2ceb}-\u{2cee}\u{2cf2}\u{2cf3}\u{a640}-\u{a66d}\
     \u{a680}-\u{a69b}\u{a722}-\u{a76f}\u{a771}-\u{a787}\u{a78b}-\u{a78e}\u{ab70}-\u{abbf}\
     \u{fb00}-\u{fb06}\u{fb13}-\u{fb17}\u{ff21}-\u{ff3a}\u{ff41}-\u{ff5a}\u{10400}-\u{1044f}\
     \u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}\u{118a0}-\u{118df}\
     \u{1e900}-\u{1e943}]+",
);
const ASIAN_SCRIPTS: Cut = Cut::Pattern(
    "[\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}\u{8c48}-\u{faff}\u{3040}-\u{309f}\u{30a0}-\u{30ff}\u{ff65}-\u{ff9f}\
     \u{2f00}-\u{2fdf}\u{e40}-\u{e7f}\u{e80}-\u{eff}\u{1780}-\u{17ff}\u{1000}-\u{109f}\u{aa60}-\u{aa7f}\
     \u{a9e0}-\u{a9ff}\u{ac00}-\u{d7af}\u{1100}-\u{11ff}]+",
);

const DEFAULT_CUTS: &[Cut] = &[Cut::Pattern(r"[\p{P}\$\+<=>\^~\|]+"), GPT2, DIGITS, THREE_ASCII_DIGITS];
const DEEPSEEK_LLM_CUTS: &[Cut] = &[
    LINE_ENDS,
    CASED_LETTERS,
    Cut::Pattern("\\s?[!-/:-~\u{ff01}-\u{ff0f}\u{ff1a}-\u{ff5e}\u{2018}-\u{201f}\u{3000}-\u{3002}]+"),
    Cut::Pattern(r"\s+$"),
    CHINESE_KOREAN,
    DIGITS,
];
const DEEPSEEK_CODER_CUTS: &[Cut] =
    &[LINE_ENDS, Cut::Pattern(r"\s?\p{L}+"), Cut::Pattern(r"\s?\p{P}+"), CHINESE_KOREAN, DIGIT];
const DEEPSEEK_V3_CUTS: &[Cut] =
    &[DIGITS_1_TO_3, CHINESE_JAPANESE, Cut::Pattern(concat!(punctuated_words!(), r"[\r\n]*", spaces!()))];
const SPARK_CUTS: &[Cut] =
    &[DIGITS_1_TO_3, CHINESE_JAPANESE, Cut::Pattern(concat!(punctuated_words!(), r"|[\r\n]|\s+(?!\S)|\s+")), DIGIT];
const AFMOE_CUTS: &[Cut] =
    &[Cut::DigitsAfter, ASIAN_SCRIPTS, Cut::Pattern(concat!(punctuated_words!(), r"[\r\n]*", spaces!()))];
const YOUTU_CUTS: &[Cut] = &[
    Cut::Pattern(
        "[\u{ac00}-\u{d7a3}\u{3131}-\u{318e}]+\
         |[\u{ff01}\u{2026}\u{201c}\u{201d}\u{2018}\u{2019}\u{2014}\u{ff1a}\u{ff1b}\u{ff0c}\u{3001}-\u{303f}\u{fe30}-\u{fe4f}]+\
         |[\u{3105}-\u{312f}]+|[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+",
    ),
    Cut::Pattern(concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:",
        contraction!(any case),
        r")?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*",
        spaces!()
    )),
];
const TINY_AYA_CUTS: &[Cut] = &[
    Cut::DigitsAfter,
    Cut::Pattern(concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:",
        contraction!(any case),
        r")?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*",
        spaces!()
    )),
];
const FALCON_CUTS: &[Cut] = &[Cut::Pattern(r"[\p{P}\$\+<=>\^~\|`]+"), GPT2, THREE_ASCII_DIGITS];
const TEKKEN_CUTS: &[Cut] =
    &[Cut::Pattern(concat!(cased_words!(r"\p{L}", ""), r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*", spaces!()))];
const GPT4O_CUTS: &[Cut] = &[Cut::Pattern(concat!(
    cased_words!(r"\p{L}", concat!("(?:", contraction!(any case), ")?")),
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*",
    spaces!()
))];
const GRANITE_EMBEDDING_CUTS: &[Cut] = &[Cut::Pattern(concat!(
    cased_words!(r"[\p{L}\p{M}]", concat!("(?:", contraction!(any case), ")?")),
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*",
    spaces!()
))];
const CHAMELEON_CUTS: &[Cut] = &[
    Cut::Pattern("<sentinel:[0-9]+>"),
    Cut::Pattern("IMGIMG[A-I]{1,4}Z"),
    Cut::Pattern(r"[\t\n]|    |  "),
    DIGIT,
    Cut::Pattern(r"[\p{P}!-/:-@\[-`{-~]"),
    GPT2,
];
const JAIS2_CUTS: &[Cut] = &[Cut::Pattern(concat!(
    contraction!(any case),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+",
    r"|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)",
    r"|\s{1,2}(?!\S)|\s"
))];
const KIMI_K2_CUTS: &[Cut] = &[Cut::Pattern(concat!(
    r"\p{Han}+|[^\r\n\p{L}\p{N}]?[\p{L}&&[^\p{Han}]]+(?:",
    contraction!(any case),
    r")?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*",
    spaces!()
))];
const BAILING_CUTS: &[Cut] = &[Cut::Pattern(concat!(
    contraction!(any case),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
))];
const SEED_CODER_CUTS: &[Cut] = &[Cut::Pattern(concat!(
    contraction!(any case),
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+",
    spaces!()
))];
const EXAONE_MOE_CUTS: &[Cut] = &[Cut::Pattern(concat!(
    contraction!(any case),
    r"|[^\r\n\p{L}\p{N}]?\p{L}(?:[\p{L}\p{M}]| \p{L})*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
))];
const MINICPM5_CUTS: &[Cut] =
    &[DIGITS_1_TO_3, Cut::Pattern(concat!(contraction!(any case), "|", words!(r"\p{L}", r"\p{N}+", r"\s\p{L}\p{N}")))];
const UFAKZEKA_CUTS: &[Cut] = &[Cut::Pattern(words!(r"\p{L}", r"\p{N}", r"\s\p{L}\p{N}"))];

const SPECS: &[Spec] = &[
    Spec::new(&["", "default"], DEFAULT_CUTS),
    Spec::new(
        &["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"],
        &[LLAMA3],
    )
    .ignore_merges()
    .add_bos(),
    Spec::new(&["dbrx", "smaug-bpe"], &[LLAMA3]),
    Spec::new(&["chatglm-bpe"], &[LLAMA3]).no_default_bos(),
    Spec::new(&["glm4", "glm5"], &[LLAMA3]).no_default_bos().ignore_merges(),
    Spec::new(&["minicpm5"], MINICPM5_CUTS).ignore_merges(),
    Spec::new(&["deepseek-llm"], DEEPSEEK_LLM_CUTS).keep_spaces(),
    Spec::new(&["deepseek-coder"], DEEPSEEK_CODER_CUTS).keep_spaces(),
    Spec::new(&["deepseek-v3", "hunyuan-dense", "hy_v4", "joyai-llm"], DEEPSEEK_V3_CUTS).keep_spaces(),
    Spec::new(&["spark2_5"], SPARK_CUTS).keep_spaces(),
    Spec::new(&["youtu"], YOUTU_CUTS).keep_spaces().ignore_merges(),
    Spec::new(&["falcon"], FALCON_CUTS),
    Spec::new(
        &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "gigachat",
            "jina-v2-es",
            "jina-v2-de",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "jina-v1-en",
            "jina-v2-code",
            "roberta-bpe",
            "mpt",
            "olmo",
            "jais",
            "exaone4",
        ],
        &[GPT2],
    ),
    Spec::new(&["trillion", "granite-docling"], &[GPT2]).keep_spaces(),
    Spec::new(&["starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"], &[DIGIT, GPT2]),
    Spec::new(&["command-r", "smollm"], &[DIGIT, GPT2]).keep_spaces(),
    Spec::new(&["stablelm2", "megrez"], &[QWEN2]),
    Spec::new(&["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "hunyuan", "solar-open", "grok-2"], &[QWEN2])
        .keep_spaces(),
    Spec::new(&["qwen35"], &[QWEN35]).keep_spaces(),
    Spec::new(&["laguna"], &[LINES, QWEN2]).keep_spaces(),
    Spec::new(&["ufakzeka"], UFAKZEKA_CUTS).keep_spaces(),
    Spec::new(&["jais-2"], JAIS2_CUTS),
    Spec::new(&["gemma4", "granite-embed-multi-311m"], &[LINES]).plain().escape_spaces().whole_line_feeds().force_bos(),
    Spec::new(&["sarvam-moe"], &[LINES]).plain().escape_spaces().keep_spaces(),
    Spec::new(&["whitespace"], &[Cut::Pattern(r"\S+")]).plain(),
    Spec::new(&["poro-chat"], &[NOT_PUNCTUATION]).keep_spaces(),
    Spec::new(&["bloom", "gpt3-finnish"], &[NOT_PUNCTUATION]),
    Spec::new(&["viking"], &[NOT_PUNCTUATION, DIGIT]).keep_spaces(),
    Spec::new(&["tekken"], TEKKEN_CUTS).keep_spaces().ignore_merges().add_bos(),
    Spec::new(&["chameleon"], CHAMELEON_CUTS).keep_spaces().add_bos(),
    Spec::new(&["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], GPT4O_CUTS).keep_spaces(),
    Spec::new(&["granite-embed-multi-97m"], GRANITE_EMBEDDING_CUTS).keep_spaces().ignore_merges(),
    Spec::new(&["tiny_aya", "cohere2moe"], TINY_AYA_CUTS).keep_spaces(),
    Spec::new(&["superbpe"], &[DIGITS, Cut::DigitsBefore]).keep_spaces(),
    Spec::new(&["bailingmoe", "bailingmoe2", "llada-moe"], BAILING_CUTS).keep_spaces(),
    Spec::new(&["seed-coder"], SEED_CODER_CUTS).keep_spaces(),
    Spec::new(&["exaone-moe"], EXAONE_MOE_CUTS),
    Spec::new(&["kimi-k2"], KIMI_K2_CUTS).keep_spaces(),
    Spec::new(&["afmoe"], AFMOE_CUTS).keep_spaces(),
];
