//! What the scheduler needs of a model: pages, and passes over rows of several sequences.
//!
//! Knows a pass and its pages; nothing of who wants what. The precision of the pass ends here: rows leave as binary32.

use std::sync::Arc;

use samebit_kernels::float_env;
use samebit_model::forward::Real;
use samebit_model::tap::NoTap;
use samebit_model::{Cache, ForwardError, Layout, Outcome, Page, Row, Runner, Wanted};
use samebit_numerics::reduce::CHUNK;

/// What a sequence holds of the cache: pages in order, of which the first `len` positions are computed.
#[derive(Debug)]
pub(crate) struct Held<P> {
    pub(crate) pages: Vec<Arc<P>>,
    pub(crate) len: usize,
}

impl<P> Clone for Held<P> {
    fn clone(&self) -> Self {
        Self { pages: self.pages.clone(), len: self.len }
    }
}

impl<P> Default for Held<P> {
    fn default() -> Self {
        Self { pages: Vec::new(), len: 0 }
    }
}

/// A model as the scheduler sees it.
pub(crate) trait Backend {
    /// The cache of so many positions.
    type Page;
    /// Positions of a page.
    fn page_len(&self) -> usize;
    /// A page that was never used.
    fn new_page(&self) -> Self::Page;
    /// Takes over what another page holds.
    fn copy_page(&self, from: &Self::Page, to: &mut Self::Page);
    /// One pass. The pages of the rows' positions are there, and nobody else's.
    fn pass(
        &mut self,
        rows: &[Row],
        held: &mut [Held<Self::Page>],
        wanted: Wanted<'_>,
    ) -> Result<Outcome<f32>, ForwardError>;
}

/// A model of any precision.
pub(crate) struct OfModel<R: 'static> {
    runner: Runner<R>,
    layout: Layout,
}

impl<R: Real> OfModel<R> {
    pub(crate) fn new(runner: Runner<R>, layout: Layout) -> Self {
        Self { runner, layout }
    }
}

impl<R: Real> Backend for OfModel<R> {
    type Page = Page<R>;

    fn page_len(&self) -> usize {
        CHUNK
    }

    fn new_page(&self) -> Page<R> {
        Page::new(&self.layout)
    }

    fn copy_page(&self, from: &Page<R>, to: &mut Page<R>) {
        to.copy_from(from);
    }

    fn pass(
        &mut self,
        rows: &[Row],
        held: &mut [Held<Page<R>>],
        wanted: Wanted<'_>,
    ) -> Result<Outcome<f32>, ForwardError> {
        let cache = |held: &mut Held<_>| Cache::from_pages(self.layout, std::mem::take(&mut held.pages), held.len);
        let mut caches: Vec<Cache<R>> = held.iter_mut().map(cache).collect();
        let outcome = self.runner.run_for(rows, &mut caches, wanted, &mut NoTap);
        held.iter_mut().zip(caches).for_each(|(held, cache)| held.pages = cache.into_pages());
        let narrow = |rows: Vec<R>| rows.into_iter().map(Real::to_f32).collect();
        float_env::with_default(|| {
            outcome.map(|Outcome { logits, states }| Outcome { logits: narrow(logits), states: narrow(states) })
        })
    }
}
