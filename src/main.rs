//! The `npvr` program: parse, call, map the result to a documented exit code.

fn main() {}
