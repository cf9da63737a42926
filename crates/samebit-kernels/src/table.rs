//! The table of functions that a forward pass calls, for one precision mode and one instruction set.
//!
//! Knows which function serves which mode; the functions are the reference's, or an instruction set's instance of them.

use core::cell::RefCell;
use core::ops::Range;
use core::str::FromStr;
use core::sync::atomic::{AtomicBool, Ordering};

use samebit_numerics::activations::{NonFinite, Quantized};
use samebit_numerics::blocks::{Family, Format};
use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::ops::elementwise::Gate;
use samebit_numerics::ops::matmul::Matrix;
use samebit_numerics::ops::rope::Pairing;
use samebit_numerics::ops::router::Router;
use samebit_numerics::ops::study::Quantized8;
use samebit_numerics::reduce::{CHUNK, chunks};

use crate::Isa;
use crate::arch;
use crate::fast::MANY;
use crate::fast::activations::{BytePlanes, Planes, QuantizedChunk, WordPlanes};
use crate::fast::kernel::Takes;
use crate::fast::product::{Call, GROUPS, PANEL, Scratch};
use crate::fast::tile::Tile;
use crate::packed::{PackedMatrix, group_bytes, pack};
use crate::page8::Page8;
use crate::pool::{Columns, Grid, Pool};
use crate::vector::GROUP;

/// The precision mode. All share one forward pass; only `V1` is what samebit promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Numerics {
    /// NUMERICS.md: 16-bit activations, exact integer dot products.
    #[default]
    V1,
    /// Weights dequantised, nothing quantised.
    F32,
    /// Everything in binary64.
    F64,
    /// 8-bit activations.
    A8,
}

impl Numerics {
    /// The name that `--numerics` takes and receipts give.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::A8 => "a8",
        }
    }
}

impl FromStr for Numerics {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        [Self::V1, Self::F32, Self::F64, Self::A8]
            .into_iter()
            .find(|mode| mode.name() == name)
            .ok_or_else(|| format!("unknown numerics `{name}`: use v1, f32, f64 or a8"))
    }
}

/// Rows of activations made ready for the matrices they will meet.
#[derive(Clone, Debug, Default)]
pub struct Activations<R> {
    /// Rows.
    pub tokens: usize,
    /// Elements of a row.
    pub cols: usize,
    /// As they are, `tokens × cols`; for float weights.
    pub values: Vec<R>,
    /// v1's integers, where a quantised matrix asks for them.
    pub quantized: Quantized,
    /// The same integers as the fast product reads them, `chunks(cols) × tokens`.
    pub(crate) bytes: Vec<QuantizedChunk<BytePlanes>>,
    /// Likewise, for products by words.
    pub(crate) words: Vec<QuantizedChunk<WordPlanes>>,
    /// The a8 mode's: rounded to the float weights' type, per 32, per 256.
    pub(crate) eight_bit: [Quantized8; 2],
}

/// One page of one key/value head, as the cache holds it. Keys lie element by element (`head_dim × 256`), values position
/// by position (`256 × head_dim`).
#[derive(Clone, Copy, Debug)]
pub enum PageOf<'a, R> {
    /// In the pass's own precision.
    Full {
        /// Keys.
        keys: &'a [R],
        /// Values.
        values: &'a [R],
    },
    /// As binary16.
    Half {
        /// Keys.
        keys: &'a [u16],
        /// Values.
        values: &'a [u16],
    },
    /// As bytes with scales, in an order of their own.
    Q8(Page8<'a>),
}

/// The query heads that share a key/value head, for a run of rows of a batch, and what they have of attention so far.
#[derive(Debug)]
pub struct Heads<'a, 'b, R> {
    /// Queries; a row's heads of this group lie together, from `row · stride` on.
    pub queries: &'a [R],
    /// Elements from one row's queries to the next one's.
    pub stride: usize,
    /// Query heads of a row.
    pub group: usize,
    /// Elements of a head.
    pub dim: usize,
    /// Which keys of the page each row sees.
    pub visible: &'a [Range<usize>],
    /// `rows × group`.
    pub running: &'a mut [Running<R>],
    /// Columns of `group × dim` elements.
    pub out: &'a mut Columns<'b, R>,
}

impl<'a, R> Heads<'a, '_, R> {
    /// Query heads of all rows.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.running.len()
    }

    /// Query number `index`.
    #[inline(always)]
    pub fn query(&self, index: usize) -> &'a [R] {
        &self.queries[index / self.group * self.stride + index % self.group * self.dim..][..self.dim]
    }

    /// The keys that it sees.
    #[inline(always)]
    pub fn visible(&self, index: usize) -> Range<usize> {
        self.visible[index / self.group].clone()
    }

    /// What it has of maximum and denominator.
    #[inline(always)]
    pub fn running(&mut self, index: usize) -> &mut Running<R> {
        &mut self.running[index]
    }

    /// What it has of weighted values.
    #[inline(always)]
    pub fn out(&mut self, index: usize) -> &mut [R] {
        &mut self.out.row(index / self.group)[index % self.group * self.dim..][..self.dim]
    }
}

/// Attends to the visible keys of a page.
type Attend<R> = fn(PageOf<'_, R>, Scores, &mut Heads<'_, '_, R>);
/// The shape of `attention::merge`: a chunk, its weighted values, what came before, its weighted values.
type Merge<R> = fn(Running<R>, &[R], &mut Running<R>, &mut [R]);
/// The shape of `norm::layer_norm`: row, weight, bias, ε, output.
type LayerNorm<R> = fn(&[R], &[f32], &[f32], f32, &mut [R]);
type MatMul<R> = fn(&Matrix<'_>, Range<usize>, &Activations<R>, &mut [R]);
type Prepare<R> = fn(&mut Activations<R>, &[Format]) -> Result<(), NonFinite>;

/// One precision mode on one instruction set. Shapes are as in samebit-numerics' operations of the same names.
#[derive(Clone, Copy, Debug)]
pub struct Table<R: 'static> {
    /// Which instruction set the functions are for.
    pub isa: Isa,
    /// Makes activations ready for matrices of the given formats; see [`Table::activations`].
    pub prepare: Prepare<R>,
    /// `out` is `rows.len() × tokens`.
    pub matmul: MatMul<R>,
    /// `ops::norm::rms_norm`.
    pub rms_norm: fn(&[R], &[f32], f32, &mut [R]),
    /// `ops::norm::layer_norm`.
    pub layer_norm: LayerNorm<R>,
    /// `ops::rope::rotate`.
    pub rotate: fn(&mut [R], Pairing, &[R], &[R]),
    /// `ops::attention::attend` for each of the heads; of a page of bytes `ops::attention8::attend` in v1, and in the other modes
    /// the former over the numbers that the bytes mean.
    pub attend: Attend<R>,
    /// `ops::attention::merge`.
    pub merge: Merge<R>,
    /// `ops::attention::finish`.
    pub finish: fn(Running<R>, Option<f32>, &mut [R]),
    /// `ops::softmax::softmax`.
    pub softmax: fn(&mut [R]),
    /// `ops::router::route`.
    pub route: fn(Router, &[R], &mut [usize], &mut [R]),
    /// `ops::elementwise::gated`.
    pub gated: fn(Gate, &mut [R], &[R]),
    /// `ops::elementwise::soft_cap`.
    pub soft_cap: fn(&mut [R], f32),
    /// `ops::elementwise::add`.
    pub add: fn(&mut [R], &[R]),
    /// `ops::elementwise::add_bias`.
    pub add_bias: fn(&mut [R], &[f32]),
    /// `ops::elementwise::add_weighted`.
    pub add_weighted: fn(&mut [R], R, &[R]),
    /// `ops::elementwise::scale`.
    pub scale: fn(&mut [R], f32),
    /// Half precision to R, for cached keys and values.
    pub widen: fn(&[u16], &mut [R]),
    /// R to half precision, to nearest even; overflow gives infinity, which the caller must look for.
    pub narrow: fn(&[R], &mut [u16]),
    /// `ops::attention8::quantize` of one head's key or value: R to bytes and scales.
    pub quantize8: fn(&[R], &mut [i8], &mut [u16]),
    /// The product with packed weights, where the instruction set has one.
    pub fast: Option<Fast<R>>,
}

/// What an instruction set does better than by its instance of the reference: the same bits, from packed weights.
#[derive(Clone, Copy, Debug)]
pub struct Fast<R: 'static> {
    /// What the product takes of activations for a format.
    pub(crate) takes: fn(Format) -> Option<Takes>,
    pub(crate) bytes: Quantize<R, BytePlanes>,
    pub(crate) words: Quantize<R, WordPlanes>,
    /// What fills a tile for a format.
    pub(crate) unpack: fn(Format) -> Unpack,
    pub(crate) product: fn(Call<'_, '_, R>) -> bool,
}

/// Fills a tile from the bytes of a chunk of sixteen rows.
pub(crate) type Unpack = fn(&[u8], &mut Tile);

/// The integers of a chunk of a row; whether all its values are finite.
type Quantize<R, P> = fn(&[R], &mut QuantizedChunk<P>) -> bool;

/// Groups that [`Fast::product_of_file`] packs at a time for few rows and for many: as many as any kernel takes together.
const TOGETHER: [usize; 2] = [2, PANEL * GROUPS];

thread_local! {
    static SCRATCH: RefCell<Box<Scratch>> = RefCell::new(Box::new(Scratch::new()));
    /// A few groups of rows, packed to be used once.
    static PACKED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<R: Copy + Default + Send + Sync> Fast<R> {
    /// Takes `tokens` rows of `cols` activations and makes ready what matrices of `formats` need of them; `pool` shares the
    /// rows.
    ///
    /// # Errors
    /// The first value that is infinite or NaN, by `finite`.
    pub fn activations(
        &self,
        pool: &Pool,
        x: &[R],
        cols: usize,
        formats: &[Format],
        finite: impl Fn(R) -> bool,
        into: &mut Activations<R>,
    ) -> Result<(), NonFinite> {
        (into.tokens, into.cols) = (x.len() / cols, cols);
        let float = formats.iter().any(|f| f.family() == Family::Float);
        let mut sound = true;
        if float {
            into.values.clear();
            into.values.extend_from_slice(x);
            sound = x.iter().all(|&v| finite(v));
        }
        let takes = |what| formats.iter().any(|&f| (self.takes)(f) == Some(what));
        if takes(Takes::Bytes) {
            sound &= quantize_rows(pool, x, cols, self.bytes, &mut into.bytes);
        }
        if takes(Takes::Words) {
            sound &= quantize_rows(pool, x, cols, self.words, &mut into.words);
        }
        match x.iter().position(|&v| !sound && !finite(v)) {
            None => Ok(()),
            Some(at) => Err(NonFinite { row: at / cols, index: at % cols }),
        }
    }

    /// The columns of `out` for every row of `x`: products, plus `bias`, which has one number for each row of the matrix.
    /// Whether all are finite.
    ///
    /// # Panics
    /// If sizes do not fit, if `out` does not begin with a whole group of sixteen, or if `x` was not made ready for the
    /// matrix's format.
    pub fn product(
        &self,
        matrix: &PackedMatrix<'_>,
        x: &Activations<R>,
        bias: Option<&[f32]>,
        out: &mut Columns<'_, R>,
    ) -> bool {
        assert!(matrix.cols == x.cols && out.rows() == x.tokens, "product: activations do not fit");
        let unpack = (self.unpack)(matrix.format);
        SCRATCH.with_borrow_mut(|scratch| (self.product)(Call { matrix, x, bias, out, scratch, unpack }))
    }

    /// As [`Fast::product`], of a matrix as it lies in the file: a few groups at a time are packed where the caches hold them. For weights that are used once; packed ones take half the time and less.
    ///
    /// # Panics
    /// As [`Fast::product`].
    pub fn product_of_file(
        &self,
        matrix: &Matrix<'_>,
        x: &Activations<R>,
        bias: Option<&[f32]>,
        out: &mut Columns<'_, R>,
    ) -> bool {
        let (range, Matrix { format, cols, .. }) = (out.range(), *matrix);
        let together = GROUP * TOGETHER[usize::from(x.tokens >= MANY)];
        let mut outputs = vec![R::default(); x.tokens * together];
        let mut finite = true;
        PACKED.with_borrow_mut(|bytes| {
            for first in range.clone().step_by(together) {
                let rows = (range.end - first).min(together);
                bytes.resize(rows.div_ceil(GROUP) * group_bytes(format, cols), 0);
                pack(matrix, first / GROUP, bytes);
                let packed = PackedMatrix { format, rows, cols, bytes };
                let bias = bias.map(|bias| &bias[first..first + rows]);
                let mut grid = Grid::new(&mut outputs[..x.tokens * rows], rows);
                finite &= self.product(&packed, x, bias, &mut grid.all());
                for (token, outputs) in outputs.chunks_exact(rows).take(x.tokens).enumerate() {
                    out.row(token)[first - range.start..][..rows].copy_from_slice(outputs);
                }
            }
        });
        finite
    }
}

/// Every row's integers; whether all values are finite.
fn quantize_rows<R: Sync, P: Planes>(
    pool: &Pool,
    x: &[R],
    cols: usize,
    quantize: Quantize<R, P>,
    into: &mut Vec<QuantizedChunk<P>>,
) -> bool {
    let tokens = x.len() / cols;
    into.resize(tokens * chunks(cols), QuantizedChunk::default());
    let broken = AtomicBool::new(false);
    pool.columns([Grid::new(into, tokens)], 1, |_, mut out| {
        let range = out.range();
        for (row, token) in range.clone().enumerate() {
            for (chunk, x) in x[token * cols..(token + 1) * cols].chunks(CHUNK).enumerate() {
                if !quantize(x, &mut out.row(chunk)[row]) {
                    broken.store(true, Ordering::Relaxed);
                }
            }
        }
    });
    !broken.into_inner()
}

impl<R: Copy + Default> Table<R> {
    /// Takes `tokens` rows of `cols` activations and makes ready what matrices of `formats` need of them.
    ///
    /// # Errors
    /// The first value that is infinite or NaN: such a value never travels on.
    pub fn activations(
        &self,
        x: &[R],
        tokens: usize,
        cols: usize,
        formats: &[Format],
        into: &mut Activations<R>,
    ) -> Result<(), NonFinite> {
        assert_eq!(x.len(), tokens * cols, "activations: length is not tokens times columns");
        into.tokens = tokens;
        into.cols = cols;
        into.values.clear();
        into.values.extend_from_slice(x);
        (self.prepare)(into, formats)
    }
}

impl Table<f32> {
    /// The table of a binary32 mode.
    ///
    /// # Panics
    /// For [`Numerics::F64`], which has a table of its own type, and for an instruction set that the CPU lacks.
    pub fn single(isa: Isa, mode: Numerics) -> Self {
        assert!(isa.is_supported(), "{isa} is not to be had on this CPU");
        assert!(mode != Numerics::F64, "binary64 has a table of its own");
        arch::table(isa, mode)
    }
}

impl Table<f64> {
    /// The table of the binary64 study mode, on the reference alone.
    pub fn double() -> Self {
        arch::double_table()
    }
}

/// The first element that is not finite; looked for wherever no quantiser would find it.
pub(crate) fn check_finite<R: Copy>(a: &Activations<R>, finite: impl Fn(R) -> bool) -> Result<(), NonFinite> {
    match a.values.iter().position(|&v| !finite(v)) {
        None => Ok(()),
        Some(at) => Err(NonFinite { row: at / a.cols, index: at % a.cols }),
    }
}

pub(crate) fn prepare_float(a: &mut Activations<f32>, _: &[Format]) -> Result<(), NonFinite> {
    check_finite(a, f32::is_finite)
}

pub(crate) fn prepare_v1(a: &mut Activations<f32>, formats: &[Format]) -> Result<(), NonFinite> {
    if formats.iter().any(|f| f.family() != Family::Float) {
        return a.quantized.fill(&a.values, a.tokens, a.cols);
    }
    check_finite(a, f32::is_finite)
}

pub(crate) fn prepare_a8(a: &mut Activations<f32>, formats: &[Format]) -> Result<(), NonFinite> {
    check_finite(a, f32::is_finite)?;
    for family in [Family::Block32, Family::Block256] {
        if let Some(&format) = formats.iter().find(|f| f.family() == family) {
            a.eight_bit[usize::from(family == Family::Block256)].fill(format, &a.values, a.tokens, a.cols)?;
        }
    }
    Ok(())
}
