//! The files of the web console, inside the program. `make console` builds them into `dist/` from the TypeScript beside
//! this crate; they are committed, so that building the program needs no Node.
//!
//! Invariants:
//! - What a file contains decides its address ([`version`]), so a browser may keep it for ever.
//! - The page names its files relative to itself, so the console works below any prefix of a proxy.
//!
//! Not here: routes, headers and who may see the console. Those are the server's.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// Each file with its name, sorted by name.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The page, before its files are named.
const PAGE: &str = "index.html";
/// Where files are, as the built page names them.
const ASSETS: &str = "assets/";
/// A file and the same compressed with Brotli stand beside each other.
const BROTLI: &str = ".br";
/// Hexadecimal digits of [`version`].
const VERSION_DIGITS: usize = 16;

/// A file that the page loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// As a `Content-Type` names it.
    pub content_type: &'static str,
    /// What it contains.
    pub bytes: &'static [u8],
    /// The same compressed with Brotli, if that is shorter.
    pub brotli: Option<&'static [u8]>,
}

/// What all files together contain, as 16 hexadecimal digits. It stands in their addresses.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hash = Sha256::new();
        for (name, bytes) in FILES.iter().filter(|(name, _)| !name.ends_with(BROTLI)) {
            hash.update(name);
            hash.update(Sha256::digest(bytes));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..VERSION_DIGITS]
            .to_owned()
    });
    &VERSION
}

/// The file of this name below `assets/`; `None` if there is none.
pub fn asset(name: &str) -> Option<Asset> {
    let content_type = match name.rsplit_once('.')?.1 {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    };
    let path = format!("{ASSETS}{name}");
    Some(Asset { content_type, bytes: file(&path)?, brotli: file(&format!("{path}{BROTLI}")) })
}

fn file(path: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
}

/// The page, for an address that is so many levels below the root of the console: 0 is the root itself.
pub fn page(depth: usize) -> String {
    static TEMPLATE: LazyLock<String> =
        LazyLock::new(|| String::from_utf8_lossy(file(PAGE).unwrap_or_default()).into_owned());
    let up = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
    TEMPLATE.replace(&format!("\"./{ASSETS}"), &format!("\"{up}{ASSETS}{}/", version()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k1_the_page_names_its_files_from_any_depth() {
        for (depth, up) in [(0, "./"), (1, "../"), (3, "../../../")] {
            let page = page(depth);
            let addresses: Vec<&str> = page
                .split('"')
                .filter(|text| text.contains(ASSETS))
                .map(|text| text.strip_prefix(up).expect("relative to the page"))
                .collect();
            assert!(!addresses.is_empty(), "{page}");
            for address in addresses {
                let name = address.strip_prefix(ASSETS).and_then(|rest| rest.strip_prefix(version()));
                let name = name.and_then(|rest| rest.strip_prefix('/')).expect("the version, then the name");
                assert!(asset(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn k1_what_is_no_file_is_none() {
        for name in ["", "app", "../index.html", "app.js.br", "none.js", "app.exe"] {
            assert_eq!(asset(name), None, "{name}");
        }
    }

    #[test]
    fn the_version_is_that_of_all_files() {
        assert_eq!(version().len(), VERSION_DIGITS);
        assert!(version().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    /// The page has neither script nor style of its own, which its policy forbids.
    #[test]
    fn k_the_page_loads_all_that_it_runs() {
        let page = page(0);
        assert!(!page.contains("<style") && !page.contains(" style="), "{page}");
        for script in page.split("<script").skip(1) {
            assert!(script.split('>').next().is_some_and(|head| head.contains("src=")), "{script}");
        }
    }
}
