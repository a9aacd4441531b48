//! Certificates for a test, made by `openssl`: an authority, what it signed for a server and for a client,
//! and another authority that signed nothing.

use std::{path::PathBuf, process::Command};

/// A directory of certificates and keys.
pub(crate) struct Certificates {
    dir: tempfile::TempDir,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let made = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        for authority in ["ca", "other"] {
            made.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={authority} \
                 -addext basicConstraints=critical,CA:TRUE -keyout {authority}.key -out {authority}.crt"
            ));
        }
        for name in ["server", "client"] {
            made.openssl(&format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} \
                 -keyout {name}.key -out {name}.csr"
            ));
            let names = made.dir.path().join("names");
            std::fs::write(names, "subjectAltName=DNS:localhost,IP:127.0.0.1").expect("a file");
            made.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {name}.crt"
            ));
        }
        made
    }

    /// `ca.crt`, `other.crt`, `server.crt`, `client.crt`, or the key of one.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.file(name).to_str().expect("UTF-8").to_owned()
    }

    fn openssl(&self, arguments: &str) {
        let output =
            Command::new("openssl").args(arguments.split_whitespace()).current_dir(&self.dir).output();
        let output = output.unwrap_or_else(|error| {
            panic!("this test runs openssl, which could not be run ({error}): `make test` installs it")
        });
        assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    }
}
