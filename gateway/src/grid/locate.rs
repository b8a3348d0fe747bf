//! Which cell a point lies in, and whether the cells of a scheme overlap or leave gaps.
