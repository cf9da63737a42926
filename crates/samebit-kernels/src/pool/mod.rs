//! Threads: work divided over outputs, so that no result depends on the division. Promise T.
//!
//! Knows nothing of what is computed. Each worker computes under the default floating-point environment.

mod affinity;
mod grid;
mod team;

use std::sync::Arc;

pub use affinity::{PinError, usable_cpus};
pub use grid::{Columns, Grid};

use crate::float_env;
use team::Team;

/// Threads that share the work of one operation after another. Clones share the same threads; they end with the last clone.
///
/// Idle threads wait a while for the next operation and then sleep. Units of work are taken as threads come free, so a
/// thread that another process has displaced delays nothing but the unit that it holds.
#[derive(Clone, Debug)]
pub struct Pool {
    team: Arc<Team>,
}

impl Pool {
    /// A pool of `threads` workers, at least one: the calling thread is one of them. Where the system gives fewer threads,
    /// those do the work.
    pub fn new(threads: usize) -> Self {
        Self { team: Arc::new(Team::new(threads.max(1))) }
    }

    /// Number of workers that were asked for.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// Binds each thread to one of `cpus`, the calling thread to the first. They stay so; no result depends on it.
    ///
    /// # Errors
    /// There are fewer CPUs than threads; the system refuses, or is not Linux. Some threads may be bound then.
    pub fn pin(&self, cpus: &[usize]) -> Result<(), PinError> {
        self.team.pin(cpus)
    }

    /// Calls `work` once with each of the numbers below `units`, on whichever threads are free.
    ///
    /// # Panics
    /// If `work` panics in any thread.
    pub fn each(&self, units: usize, work: impl Fn(usize) + Sync) {
        if units == 0 {
            return;
        }
        float_env::with_default(|| self.team.run(units, &work));
    }

    /// Cuts `out` into units of `unit` elements and lets workers fill runs of them: `work(first_unit, the_run)`.
    ///
    /// # Panics
    /// If `unit` is zero, or if `work` panics in any thread.
    pub fn fill<T: Send>(&self, out: &mut [T], unit: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        let units = out.len() / unit;
        let run = units.div_ceil(self.runs()).max(1);
        let mut rest = Grid::new(out, out.len());
        let len = rest.width();
        // A single row of columns: runs of whole units, the last with what remains.
        let cells = rest.share();
        self.each(units.div_ceil(run), |index| {
            let (first, end) = (index * run, ((index + 1) * run).min(units));
            let end = if end == units { len } else { end * unit };
            work(first, cells.columns(first * unit..end).row(0));
        });
    }

    /// Cuts the columns of several grids into runs of whole units of `unit` columns (the last of a grid may be shorter) and
    /// lets workers fill them: `work(number_of_the_grid, the_columns)`.
    ///
    /// # Panics
    /// If `unit` is zero, or if `work` panics in any thread.
    pub fn columns<T: Send, const N: usize>(
        &self,
        mut grids: [Grid<'_, T>; N],
        unit: usize,
        work: impl Fn(usize, Columns<'_, T>) + Sync,
    ) {
        let widths = grids.each_ref().map(Grid::width);
        let total: usize = widths.iter().map(|width| width.div_ceil(unit)).sum();
        let run = total.div_ceil(self.runs()).max(1) * unit;
        let shared = grids.each_mut().map(Grid::share);
        let counts = widths.map(|width| width.div_ceil(run));
        self.each(counts.iter().sum(), |index| {
            let (mut which, mut at) = (0, index);
            while at >= counts[which] {
                at -= counts[which];
                which += 1;
            }
            let range = at * run..((at + 1) * run).min(widths[which]);
            work(which, shared[which].columns(range));
        });
    }

    /// Lets workers fill a grid block by block, `unit` columns of up to `rows` rows each: `work(first_row, the_block)`.
    ///
    /// # Panics
    /// If `unit` or `rows` is zero, or if `work` panics in any thread.
    pub fn blocks<T: Send>(
        &self,
        mut grid: Grid<'_, T>,
        unit: usize,
        rows: usize,
        work: impl Fn(usize, Columns<'_, T>) + Sync,
    ) {
        let (width, height) = (grid.width(), grid.rows());
        let across = width.div_ceil(unit);
        let shared = grid.share();
        self.each(across * height.div_ceil(rows), |index| {
            let (first, column) = (index / across * rows, index % across * unit);
            let block = shared.block(first..height.min(first + rows), column..width.min(column + unit));
            work(first, block);
        });
    }

    /// Lets workers fill a grid piece by piece, `unit` columns of as many rows each as `heights` says, one after the other:
    /// `work(first_row, the_piece)`.
    ///
    /// # Panics
    /// If `unit` is zero, if the heights add up to other than the grid's, or if `work` panics in any thread.
    pub fn pieces<T: Send>(
        &self,
        mut grid: Grid<'_, T>,
        unit: usize,
        heights: &[usize],
        work: impl Fn(usize, Columns<'_, T>) + Sync,
    ) {
        let width = grid.width();
        let across = width.div_ceil(unit);
        let mut ends = Vec::with_capacity(heights.len());
        let total = heights.iter().fold(0, |before, height| {
            ends.push(before + height);
            before + height
        });
        assert!(total == grid.rows(), "the pieces are the grid");
        let shared = grid.share();
        self.each(across * heights.len(), |index| {
            let (piece, column) = (index / across, index % across * unit);
            let first = ends[piece] - heights[piece];
            work(first, shared.block(first..ends[piece], column..width.min(column + unit)));
        });
    }

    /// Lets workers go through the rows of several grids of equal height together: `work(row, the_row_of_each)`.
    ///
    /// # Panics
    /// If the heights differ, or if `work` panics in any thread.
    pub fn rows<T: Send, const N: usize>(
        &self,
        mut grids: [Grid<'_, T>; N],
        work: impl Fn(usize, [&mut [T]; N]) + Sync,
    ) {
        let Some(height) = grids.first().map(Grid::rows) else { return };
        assert!(grids.iter().all(|grid| grid.rows() == height), "grids of one height");
        let widths = grids.each_ref().map(Grid::width);
        let shared = grids.each_mut().map(Grid::share);
        let run = height.div_ceil(self.runs()).max(1);
        self.each(height.div_ceil(run), |index| {
            for row in index * run..height.min((index + 1) * run) {
                let mut which = 0;
                let mut blocks = shared.each_ref().map(|grid| {
                    which += 1;
                    grid.block(row..row + 1, 0..widths[which - 1])
                });
                work(row, blocks.each_mut().map(|block| block.row(0)));
            }
        });
    }

    /// Into how many runs work is cut: one for a single thread, else a few for each, so that one that is late costs little.
    fn runs(&self) -> usize {
        match self.team.threads() {
            1 => 1,
            threads => 8 * threads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_unit_is_filled_once_whatever_the_threads() {
        for threads in [1, 2, 3, 7, 100] {
            let mut out = vec![0usize; 3 * 41];
            Pool::new(threads).fill(&mut out, 3, |first, part| {
                for (i, unit) in part.chunks_mut(3).enumerate() {
                    unit.iter_mut().for_each(|v| *v += first + i + 1);
                }
            });
            assert!(out.iter().enumerate().all(|(i, &v)| v == i / 3 + 1), "{threads} threads");
        }
    }

    #[test]
    fn every_column_of_every_grid_is_filled_once() {
        for threads in [1, 2, 5] {
            let (mut a, mut b) = (vec![0usize; 4 * 37], vec![0usize; 4 * 100]);
            Pool::new(threads).columns([Grid::new(&mut a, 37), Grid::new(&mut b, 100)], 16, |which, mut columns| {
                let range = columns.range();
                for row in 0..columns.rows() {
                    for (column, cell) in range.clone().zip(columns.row(row)) {
                        *cell += 1 + which * 100_000 + row * 1000 + column;
                    }
                }
            });
            for (which, (grid, width)) in [(a, 37), (b, 100)].into_iter().enumerate() {
                let right = |(i, v): (usize, usize)| v == 1 + which * 100_000 + i / width * 1000 + i % width;
                assert!(grid.into_iter().enumerate().all(right), "{threads} threads, grid {which}");
            }
        }
    }

    #[test]
    fn every_cell_of_every_piece_is_filled_once() {
        for threads in [1, 2, 5] {
            for heights in [&[13][..], &[1, 5, 7], &[1; 13]] {
                let mut cells = vec![0usize; 13 * 10];
                Pool::new(threads).pieces(Grid::new(&mut cells, 10), 4, heights, |first, mut piece| {
                    let range = piece.range();
                    for row in 0..piece.rows() {
                        for (column, cell) in range.clone().zip(piece.row(row)) {
                            *cell += 1 + (first + row) * 10 + column;
                        }
                    }
                });
                assert!(cells.into_iter().enumerate().all(|(i, v)| v == i + 1), "{threads} threads, {heights:?}");
            }
        }
    }

    #[test]
    fn workers_compute_in_the_default_environment() {
        let mut seen = [false; 8];
        Pool::new(4).fill(&mut seen, 1, |_, part| part.fill(float_env::is_default()));
        assert_eq!(seen, [true; 8]);
    }

    #[test]
    fn one_pool_serves_many_operations_and_many_callers() {
        let pool = Pool::new(3);
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for units in 0..200 {
                        pool.each(units, |unit| {
                            total.fetch_add(unit, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        let once: usize = (0..200).map(|units| (0..units).sum::<usize>()).sum();
        assert_eq!(total.into_inner(), 3 * once);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(2);
        let broken = || pool.each(64, |unit| assert!(unit != 40, "on purpose"));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(broken));
        assert!(caught.is_err());
        let count = AtomicUsize::new(0);
        pool.each(10, |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 10);
    }

    #[test]
    fn a_pool_wakes_from_sleep() {
        let pool = Pool::new(2);
        for _ in 0..3 {
            let count = AtomicUsize::new(0);
            pool.each(100, |_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.into_inner(), 100);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
