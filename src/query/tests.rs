//! What a query file may say, what it may not, and what a user may ask of it.

use super::*;
