//! House rules that no compiler knows, as tests: who may depend on whom, which crates are the only
//! ones to use a library, what must not be in the graph, and what every source file is like. The
//! rules about crates are the tables of `ARCHITECTURE.md` themselves, so the map stays the house.

#[cfg(test)]
mod crates;
#[cfg(test)]
mod files;
#[cfg(test)]
mod house;
