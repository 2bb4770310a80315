//! What was given on the command line, written again for commands that keytrail prints.

use keytrail::shell;

use super::Arguments;

/// The lake that is asked where none is named.
pub(super) const LAKE_DEFAULT: &str = "./keytrail-lake";

impl Arguments {
    /// The options of every command that were given, as they are written in a command that keytrail prints: each with a space
    /// before it, and quoted for a shell.
    pub fn repeated(&self) -> String {
        let mut text = String::new();
        let mut add = |name: &str, value: &str| text.extend([" ", name, " ", &shell::word(value)]);
        if self.lake != LAKE_DEFAULT {
            add("--lake", &self.lake);
        }
        for folder in &self.queries {
            add("--queries", &folder.to_string_lossy());
        }
        if let Some(file) = &self.expectations {
            add("--expectations", &file.to_string_lossy());
        }
        if let Some(role) = &self.aws.assume_role {
            add("--assume-role", role);
        }
        if let Some(id) = &self.aws.external_id {
            add("--external-id", id);
        }
        text
    }
}
