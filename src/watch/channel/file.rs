//! A file that grows by a line of JSON per finding.
//!
//! Delivered is what the file system has taken to its disk. What could be written only in part is taken back.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Failure;

/// The file's path.
#[derive(Debug, Clone)]
pub struct NotifyFile {
    path: PathBuf,
}

impl NotifyFile {
    /// At this path, made absolute: the same file is the same channel wherever it is named from.
    ///
    /// # Errors
    /// When the path is empty, or the current folder is gone.
    pub fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: std::path::absolute(path)? })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds lines.
    pub(super) async fn append(&self, lines: String) -> Result<(), Failure> {
        let path = self.path.clone();
        match tokio::task::spawn_blocking(move || append(&path, &lines)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::passing(error.to_string())),
            Err(error) => Err(Failure::passing(error.to_string())),
        }
    }
}

fn append(path: &Path, lines: &str) -> io::Result<()> {
    let about = std::fs::metadata(path).ok();
    if about.is_some_and(|about| !about.is_file()) {
        // A pipe or a terminal has neither an end nor a disk.
        return OpenOptions::new().write(true).open(path)?.write_all(lines.as_bytes());
    }
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let before = file.metadata()?.len();
    let wrote = write(&mut file, before, lines);
    if wrote.is_err() {
        // Half a line would be read as one that is damaged.
        let _ = file.set_len(before);
    }
    wrote
}

fn write(file: &mut File, before: u64, lines: &str) -> io::Result<()> {
    if before > 0 {
        // A run that was killed while it wrote may have left half a line.
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_behind_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("told.ndjson");
        append(&path, "{\"a\":1}\n").unwrap();
        append(&path, "{\"b\":2}\n{\"c\":3}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
        std::fs::write(&path, "{\"torn").unwrap();
        append(&path, "{\"d\":4}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"torn\n{\"d\":4}\n");
        assert!(append(&folder.path().join("no/such/folder"), "x\n").is_err());
    }
}
