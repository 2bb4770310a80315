//! The bytes of an object that was fetched: in memory, or in an unnamed file when there are too many.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

/// An object larger than this is kept in a file that goes away with it. No trail delivers such an object.
pub const MEMORY_MAX: u64 = 64 * 1024 * 1024;

/// The bytes of an object.
#[derive(Debug)]
pub enum Body {
    /// In memory.
    Memory(Vec<u8>),
    /// In a file, to be read from its beginning.
    File(File),
}

impl Body {
    /// Room for about so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: u64) -> Self {
        Self::Memory(Vec::with_capacity(usize::try_from(bytes.min(MEMORY_MAX)).unwrap_or_default()))
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When there is no room for a temporary file.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Self::Memory(held) = self
            && (held.len() + bytes.len()) as u64 > MEMORY_MAX
        {
            let mut file = tempfile::tempfile()?;
            file.write_all(held)?;
            *self = Self::File(file);
        }
        match self {
            Self::Memory(held) => held.extend_from_slice(bytes),
            Self::File(file) => file.write_all(bytes)?,
        }
        Ok(())
    }

    /// Gets ready to be read.
    ///
    /// # Errors
    /// When the temporary file fails.
    pub fn finish(mut self) -> io::Result<Self> {
        if let Self::File(file) = &mut self {
            file.rewind()?;
        }
        Ok(self)
    }

    /// All of it in memory.
    ///
    /// # Errors
    /// When the temporary file fails.
    pub fn into_bytes(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(held) => Ok(held),
            Self::File(mut file) => {
                let mut held = Vec::new();
                file.read_to_end(&mut held)?;
                Ok(held)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_into_memory_is_in_a_file() {
        let half = vec![b'x'; usize::try_from(MEMORY_MAX / 2).unwrap()];
        let mut body = Body::with_capacity(10);
        body.push(&half).unwrap();
        body.push(&half).unwrap();
        assert!(matches!(body, Body::Memory(_)));
        body.push(b"end").unwrap();
        assert!(matches!(body, Body::File(_)));
        let bytes = body.finish().unwrap().into_bytes().unwrap();
        assert_eq!((bytes.len() as u64, &bytes[bytes.len() - 3..]), (MEMORY_MAX + 3, &b"end"[..]));
    }
}
