//! A program under way: instructions, and jumps to places that are named before they are known.

use super::Op;
use super::op::{If, Reg};

/// Instructions with places `P` among them.
#[derive(Debug)]
pub struct Draft<P> {
    ops: Vec<(Op, Option<P>)>,
    places: Vec<(P, usize)>,
}

impl<P> Default for Draft<P> {
    fn default() -> Self {
        Self { ops: Vec::new(), places: Vec::new() }
    }
}

impl<P: PartialEq> Draft<P> {
    /// Names the place where the next instruction will stand.
    pub fn at(&mut self, place: P) {
        self.places.push((place, self.ops.len()));
    }

    /// Adds an instruction.
    pub fn op(&mut self, op: Op) {
        self.ops.push((op, None));
    }

    /// Adds instructions.
    pub fn all(&mut self, ops: impl IntoIterator<Item = Op>) {
        self.ops.extend(ops.into_iter().map(|op| (op, None)));
    }

    /// Adds a jump, wherever it leads, to a place.
    pub fn jump(&mut self, jump: Op, to: P) {
        self.ops.push((jump, Some(to)));
    }

    /// Adds a jump where the low 32 bits of `reg` compare so with `value`.
    pub fn if_so(&mut self, test: If, reg: Reg, value: i32, to: P) {
        self.jump(Op::jump_if(test, reg, value, 0), to);
    }

    /// The program. A jump to a place that was never named leads nowhere, which the verifier
    /// refuses.
    #[must_use]
    pub fn finish(self) -> Vec<Op> {
        let place = |to: &P| self.places.iter().find(|(place, _)| place == to).map(|(_, at)| *at);
        let ops = self.ops.iter().enumerate();
        ops.map(|(from, (op, to))| match to.as_ref().map(place) {
            Some(at) => {
                op.by(at.and_then(|at| i16::try_from(at - from - 1).ok()).unwrap_or(i16::MAX))
            }
            None => *op,
        })
        .collect()
    }
}
