//! Right answers for small inputs whose answer is known: logs by hand, asked as a user asks.

mod endpoint;
mod identity;
mod old_lake;
mod partitions;
mod via;
