//! Every rule that spans several keys or files. Collects all problems, so that one run shows them all.
