//! The files of the page, built into the program: hand-written HTML, CSS and ES modules, as they are in `page/`.

/// A file as it is served.
pub(super) struct File {
    /// Its path below the endpoint.
    path: &'static str,
    /// Its type.
    pub(super) content_type: &'static str,
    /// Its content.
    pub(super) content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// A script in `page/`, served under its own name.
macro_rules! script {
    ($name:literal) => {
        File {
            path: concat!("/playground/", $name),
            content_type: JS,
            content: include_str!(concat!("page/", $name)),
        }
    };
}

/// Every file.
static FILES: [File; 12] = [
    File { path: "/", content_type: HTML, content: include_str!("page/index.html") },
    File { path: "/playground/page.css", content_type: CSS, content: include_str!("page/page.css") },
    script!("page.js"),
    script!("client.js"),
    script!("code.js"),
    script!("dom.js"),
    script!("frames.js"),
    script!("protocols.js"),
    script!("rest.js"),
    script!("server.js"),
    script!("trace.js"),
    script!("words.js"),
];

/// The file at a path.
pub(super) fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/playground/page");
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let mut served: Vec<&str> =
            FILES.iter().map(|file| file.path.strip_prefix("/playground/").unwrap_or("index.html")).collect();
        served.sort_unstable();
        assert_eq!(names, served);
    }

    #[test]
    fn the_page_names_nothing_of_other_origins_and_inserts_no_markup() {
        for File { path, content, .. } in &FILES {
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "//cdn",
                " style=",
            ] {
                assert!(!content.contains(forbidden), "{path}: {forbidden}");
            }
            assert!(!content.contains("src=\"http") && !content.contains("href=\"http"), "{path}");
        }
    }
}
