//! A JSON value before it is spelled out, and the many ways to spell it.
//!
//! One value has many texts: the order of members, the whitespace, which characters are escaped and how. A spelling is
//! drawn from a seed, so that a failing text can be had again; seed 0 is the plainest text, towards which a failure
//! shrinks.

/// A JSON value whose text is still open.
#[derive(Debug, Clone)]
pub enum Node {
    /// JSON text that is used as it is: numbers, `true`, `null`, and whatever needs one certain spelling.
    Spelled(String),
    Text(String),
    List(Vec<Node>),
    /// Members in any order; names may occur twice.
    Object(Vec<(String, Node)>),
}

impl Node {
    pub fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    pub fn spelled(text: &str) -> Node {
        Node::Spelled(text.to_owned())
    }

    /// The value as JSON text.
    pub fn spell(&self, seed: u64) -> String {
        let mut speller = Speller { text: String::new(), plain: seed == 0, chance: seed | 1, style: seed % 8 };
        speller.value(self);
        speller.text
    }
}

struct Speller {
    text: String,
    plain: bool,
    /// State of a xorshift generator; never 0.
    chance: u64,
    /// One of eight manners, which a whole text keeps to.
    style: u64,
}

impl Speller {
    fn value(&mut self, node: &Node) {
        match node {
            Node::Spelled(text) => self.text.push_str(text),
            Node::Text(text) => self.string(text),
            Node::List(items) => self.list(items),
            Node::Object(members) => self.object(members),
        }
    }

    fn list(&mut self, items: &[Node]) {
        self.text.push('[');
        for (index, item) in items.iter().enumerate() {
            self.comma(index);
            self.value(item);
        }
        self.space();
        self.text.push(']');
    }

    fn object(&mut self, members: &[(String, Node)]) {
        self.text.push('{');
        for (index, member) in self.order(members.len()).into_iter().enumerate() {
            let (name, value) = &members[member];
            self.comma(index);
            self.string(name);
            self.space();
            self.text.push(':');
            self.space();
            self.value(value);
        }
        self.space();
        self.text.push('}');
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.space();
            self.text.push(',');
        }
        self.space();
    }

    /// An order of so many members.
    fn order(&mut self, members: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..members).collect();
        if !self.plain {
            for last in (1..members).rev() {
                order.swap(last, self.draw(last + 1));
            }
        }
        order
    }

    fn space(&mut self) {
        let spaces = match self.style {
            1 => [" ", "", " ", ""],
            2 => ["\n", "  ", "\r\n\t", ""],
            _ => return,
        };
        let index = self.draw(spaces.len());
        self.text.push_str(spaces[index]);
    }

    fn string(&mut self, text: &str) {
        let wholly = self.draw(6) == 0;
        let one_in = match self.style {
            3 => 8,
            4 if wholly => 1,
            _ => usize::MAX,
        };
        let slashes = self.style == 5;
        self.text.push('"');
        for character in text.chars() {
            match character {
                _ if self.draw(one_in) == 0 => self.escape(character),
                '/' if slashes => self.text.push_str("\\/"),
                '"' | '\\' => self.text.extend(['\\', character]),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '\0'..='\u{1f}' => self.escape(character),
                _ => self.text.push(character),
            }
        }
        self.text.push('"');
    }

    /// `\uXXXX`, as a surrogate pair beyond the first 65,536 characters.
    fn escape(&mut self, character: char) {
        for unit in character.encode_utf16(&mut [0; 2]) {
            let escaped = format!("\\u{unit:04x}");
            let upper = self.draw(2) == 0;
            self.text.push_str(&if upper { escaped.to_ascii_uppercase().replace("\\U", "\\u") } else { escaped });
        }
    }

    /// A number below `bound`; for the plainest text never 0, so that nothing is escaped that need not be.
    fn draw(&mut self, bound: usize) -> usize {
        if self.plain {
            return 1;
        }
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        usize::try_from(self.chance >> 16).unwrap_or_default() % bound
    }
}

#[test]
fn every_spelling_of_a_value_reads_as_that_value() {
    let inner = Node::Object(vec![("z".into(), Node::spelled("1")), ("é/\u{7}".into(), Node::text("\"😀\\\n"))]);
    let node = Node::Object(vec![("b".into(), Node::List(vec![inner, Node::spelled("null")]))]);
    let expected = serde_json::json!({"b": [{"é/\u{7}": "\"😀\\\n", "z": 1}, null]});
    assert_eq!(node.spell(0), expected.to_string());
    for seed in 0..200 {
        assert_eq!(serde_json::from_str::<serde_json::Value>(&node.spell(seed)).unwrap(), expected);
    }
}
