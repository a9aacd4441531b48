//! Which file of a crate names which, read from paths in the code.

use std::collections::{BTreeMap, BTreeSet};

use crate::rust_tokens::tokens;

/// A path, part by part, from the root of the crate.
type Parts = Vec<String>;

/// How often a name is followed to where it comes from.
const STEPS_MAX: usize = 20;

/// The modules of a crate, each by its path from the root.
pub(crate) struct Crate {
    modules: BTreeMap<Parts, Module>,
}

/// What a file says.
struct Module {
    file: String,
    /// What `use` brings in, by name, as written.
    uses: BTreeMap<String, Use>,
    /// The modules whose names are all brought in.
    globs: Vec<Parts>,
    /// What is defined here.
    defined: BTreeSet<String>,
    /// The paths in the code, those of `use` as well.
    mentioned: BTreeSet<Parts>,
    /// The names in the code outside of `use`.
    words: BTreeSet<String>,
}

struct Use {
    path: Parts,
    /// The name is passed on: `pub use`.
    is_public: bool,
}

impl Crate {
    /// Reads a crate from its files, by their paths below `src`.
    pub(crate) fn read(files: &BTreeMap<String, String>) -> Self {
        let modules = files.iter().map(|(file, text)| (place_of(file), Module::read(file, &tokens(text))));
        Self { modules: modules.collect() }
    }

    /// The file that defines what `path` means in the module `from`.
    fn file_of(&self, from: &[String], path: &[String]) -> Option<&str> {
        let (mut from, mut path) = (from.to_vec(), path.to_vec());
        for _ in 0..STEPS_MAX {
            let (module, rest) = self.module_of(&from, &path)?;
            let name = rest.first()?;
            let here = &self.modules[&module];
            let brought = here.uses.get(name).map(|brought| brought.path.clone());
            let passed = brought.or_else(|| {
                let of_glob = |glob: &&Parts| {
                    let target = self.module_of(&module, glob);
                    target.is_some_and(|(target, rest)| {
                        rest.is_empty() && self.modules[&target].defined.contains(name)
                    })
                };
                here.globs.iter().find(of_glob).map(|glob| [glob.clone(), vec![name.clone()]].concat())
            });
            let Some(passed) = passed else { return Some(&here.file) };
            path = [passed, rest[1..].to_vec()].concat();
            from = module;
        }
        None
    }

    /// The module at the beginning of a path, and the parts behind it.
    fn module_of(&self, from: &[String], path: &[String]) -> Option<(Parts, Parts)> {
        let first = path.first()?;
        let mut at = from.to_vec();
        let mut rest = path;
        match first.as_str() {
            "crate" => (at, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    at.pop()?;
                    rest = &rest[1..];
                }
            }
            name => {
                let here = self.modules.get(&at)?;
                let is_below = self.modules.contains_key(&[at.clone(), vec![name.to_owned()]].concat());
                if let Some(brought) = here.uses.get(name)
                    && brought.path.first() != Some(first)
                {
                    let path = [brought.path.clone(), path[1..].to_vec()].concat();
                    return self.module_of(&at, &path);
                }
                if !is_below {
                    return None;
                }
            }
        }
        while let Some(part) = rest.first() {
            at.push(part.clone());
            if !self.modules.contains_key(&at) {
                at.pop();
                break;
            }
            rest = &rest[1..];
        }
        self.modules.contains_key(&at).then(|| (at, rest.to_vec()))
    }
}

/// For each file the others that it names.
pub(crate) fn edges(of: &Crate) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for (place, module) in &of.modules {
        let used =
            module.uses.iter().filter(|(name, brought)| !brought.is_public || module.words.contains(*name));
        let paths = module.mentioned.iter().chain(used.map(|(_, brought)| &brought.path));
        let mut named: BTreeSet<String> =
            paths.filter_map(|path| of.file_of(place, path)).map(str::to_owned).collect();
        named.remove(&module.file);
        found.insert(module.file.clone(), named);
    }
    found
}

/// The path of a module by its file: `a/mod.rs` and `a.rs` are both `a`.
fn place_of(file: &str) -> Parts {
    let name = file.trim_end_matches(".rs");
    let name = if name == "lib" { "" } else { name.trim_end_matches("mod") };
    name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

impl Module {
    fn read(file: &str, tokens: &[String]) -> Self {
        let mut module = Self {
            file: file.to_owned(),
            uses: BTreeMap::new(),
            globs: Vec::new(),
            defined: BTreeSet::new(),
            mentioned: BTreeSet::new(),
            words: BTreeSet::new(),
        };
        let mut reader = Reader { tokens, at: 0, depth: 0, inner: Vec::new() };
        while let Some(token) = reader.tokens.get(reader.at) {
            match token.as_str() {
                "use" if reader.peek(1) != Some("<") => reader.read_use(&mut module),
                _ => reader.read_other(&mut module),
            }
        }
        module
    }
}

/// A place in the tokens of a file.
struct Reader<'a> {
    tokens: &'a [String],
    at: usize,
    depth: usize,
    /// The depths of the blocks `mod x { … }` around this place.
    inner: Vec<usize>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.at + ahead).map(String::as_str)
    }

    fn is_word(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|token| token.starts_with(|c: char| c.is_alphabetic() || c == '_'))
    }

    /// One `use` with all its names, up to its `;`.
    fn read_use(&mut self, module: &mut Module) {
        let is_public = self.at > 0 && matches!(self.tokens[self.at - 1].as_str(), "pub" | ")");
        self.at += 1;
        let mut found = Vec::new();
        self.read_tree(&[], &mut found);
        for (name, path) in found {
            let Some(path) = self.seen_from_file(path) else { continue };
            match name.as_str() {
                "*" => module.globs.push(path),
                _ => drop(module.uses.insert(name, Use { path, is_public })),
            }
        }
    }

    /// The names of a tree of `use`, each with its path; `*` is the name of all.
    fn read_tree(&mut self, before: &[String], found: &mut Vec<(String, Parts)>) {
        let mut path = before.to_vec();
        while let Some(token) = self.peek(0).map(str::to_owned) {
            self.at += 1;
            match token.as_str() {
                "::" | "$" => {}
                "{" => {
                    while !matches!(self.peek(0), Some("}") | None) {
                        self.read_tree(&path, found);
                        self.at += usize::from(self.peek(0) == Some(","));
                    }
                    self.at += 1;
                    return;
                }
                "*" => return found.push((token, path)),
                "self" if !path.is_empty() => {}
                "as" => {
                    let name = self.peek(0).unwrap_or("_").to_owned();
                    self.at += 1;
                    return found.push((name, path));
                }
                "," | "}" | ";" => {
                    self.at -= 1;
                    break;
                }
                _ => path.push(token),
            }
        }
        if let Some(name) = path.last() {
            found.push((name.clone(), path.clone()));
        }
    }

    /// A path as it is written in the file itself, and not in a block `mod x { … }` of it. `None` if it stays inside.
    fn seen_from_file(&self, mut path: Parts) -> Option<Parts> {
        let supers = path.iter().take_while(|part| *part == "super").count();
        match supers {
            _ if self.inner.is_empty() => Some(path),
            0 => (path.first().is_some_and(|part| part == "crate")).then_some(path),
            supers => {
                drop(path.drain(..supers.min(self.inner.len())));
                if supers < self.inner.len() {
                    return None;
                }
                if path.first().is_none_or(|part| part != "super") {
                    path.insert(0, "self".to_owned());
                }
                Some(path)
            }
        }
    }

    /// A path, a definition, or a sign.
    fn read_other(&mut self, module: &mut Module) {
        match self.peek(0).unwrap_or_default() {
            "{" => self.depth += 1,
            "}" => {
                self.depth = self.depth.saturating_sub(1);
                self.inner.retain(|depth| *depth < self.depth + 1);
            }
            "mod" if self.peek(2) == Some("{") => {
                self.inner.push(self.depth + 1);
                self.at += 1;
            }
            // A declaration of a module does not name it.
            "mod" if self.peek(2) == Some(";") => self.at += 2,
            "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" if self.is_word(1) => {
                module.defined.insert(self.peek(1).unwrap_or_default().to_owned());
            }
            "macro_rules" if self.peek(1) == Some("!") => {
                module.defined.insert(self.peek(2).unwrap_or_default().to_owned());
            }
            _ if self.is_word(0) => return self.read_path(module),
            _ => {}
        }
        self.at += 1;
    }

    fn read_path(&mut self, module: &mut Module) {
        let is_member = self.at > 0 && matches!(self.tokens[self.at - 1].as_str(), "." | "::");
        let mut path = vec![self.peek(0).unwrap_or_default().to_owned()];
        self.at += 1;
        while self.peek(0) == Some("::") && self.is_word(1) {
            path.push(self.peek(1).unwrap_or_default().to_owned());
            self.at += 2;
        }
        if is_member {
            return;
        }
        module.words.insert(path[0].clone());
        if path.len() > 1 {
            module.mentioned.extend(self.seen_from_file(path));
        }
    }
}
