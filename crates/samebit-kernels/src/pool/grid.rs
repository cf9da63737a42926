//! A table of outputs, rows by columns, of which threads fill columns.
//!
//! Knows nothing of threads: [`Pool`](super::Pool) gives each range of columns away once.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ops::Range;

/// Outputs to be filled: whole rows of `width` cells.
#[derive(Debug)]
pub struct Grid<'a, T> {
    cells: &'a mut [T],
    width: usize,
}

impl<'a, T> Grid<'a, T> {
    /// A grid over `cells`.
    ///
    /// # Panics
    /// If they are not whole rows.
    pub fn new(cells: &'a mut [T], width: usize) -> Self {
        assert!(cells.len().is_multiple_of(width.max(1)), "a grid has whole rows");
        Self { cells, width }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    /// All columns of all rows, for one thread.
    pub fn all(&mut self) -> Columns<'_, T> {
        let (rows, width) = (self.rows(), self.width);
        Columns { start: self.cells.as_mut_ptr(), rows, width, range: 0..width, cells: PhantomData }
    }

    pub(super) fn share(&mut self) -> Shared<'_, T> {
        let rows = self.rows();
        Shared { start: self.cells.as_mut_ptr(), rows, width: self.width, cells: PhantomData }
    }
}

/// A grid that is being given away in ranges of columns.
pub(super) struct Shared<'a, T> {
    start: *mut T,
    rows: usize,
    width: usize,
    cells: PhantomData<&'a mut [T]>,
}

// SAFETY: it stands for a `&mut [T]` whose parts go to several threads; `columns` gives each cell to one of them.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<T> Shared<'_, T> {
    /// Some columns of some rows. Only the pool calls this, and gives no cell away twice.
    pub(super) fn block(&self, rows: Range<usize>, range: Range<usize>) -> Columns<'_, T> {
        assert!(range.start <= range.end && range.end <= self.width, "columns beyond the grid");
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows beyond the grid");
        // Row numbers count from the block's first.
        let start = self.start.wrapping_add(rows.start * self.width);
        Columns { start, rows: rows.len(), width: self.width, range, cells: PhantomData }
    }

    /// Some columns of all rows.
    pub(super) fn columns(&self, range: Range<usize>) -> Columns<'_, T> {
        self.block(0..self.rows, range)
    }
}

/// Some columns of a grid (or of some of its rows), row by row.
#[derive(Debug)]
pub struct Columns<'a, T> {
    start: *mut T,
    rows: usize,
    width: usize,
    range: Range<usize>,
    cells: PhantomData<&'a mut [T]>,
}

impl<T> Columns<'_, T> {
    /// Which columns.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Rows that there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// These columns' cells of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline(always)]
    pub fn row(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.rows, "a row beyond the grid");
        // SAFETY: `start` begins `rows · width` cells that are borrowed mutably for longer than `self`; row and range were
        // checked against them, and no other `Columns` of this grid has a cell of this range.
        unsafe {
            core::slice::from_raw_parts_mut(self.start.add(row * self.width + self.range.start), self.range.len())
        }
    }
}
