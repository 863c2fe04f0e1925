//! `aspen doc`: pages about the modules of a project and the standard library.

use super::complain;
use crate::project::{Project, source_files};
use crate::{input, status};
use qualm_passerine::document::{Entry, Page, page, prelude_entries, standard_page};
use qualm_passerine::standard_modules;
use std::fmt::Write;
use std::path::PathBuf;

/// The look of the pages: one column, both colour schemes, nothing to load.
const STYLE: &str = "
:root { color-scheme: light dark; --faint: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 0.9em/1.4 ui-monospace, monospace; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2rem; }
dt { margin-top: 1.2rem; border-top: 1px solid var(--faint); padding-top: 0.6rem; }
dt code.name { font-weight: 700; } dt code.type { opacity: 0.75; }
dd { margin: 0.2rem 0 0 0; } nav { margin-bottom: 2rem; }
a { color: inherit; text-decoration-color: var(--faint); }
";

/// `aspen doc`
pub fn doc(project: &Project) -> u8 {
    match write_pages(project) {
        Ok((count, index)) => {
            complain(&format!("wrote {count} pages; open {}\n", index.display()));
            status::OK
        }
        Err(problem) => {
            complain(&problem);
            status::INVALID
        }
    }
}

fn write_pages(project: &Project) -> Result<(usize, PathBuf), String> {
    let name = &project.manifest.name;
    let mut own: Vec<(String, Page)> = Vec::new();
    let sources = project.folder.join("src");
    for file in source_files(&sources).map_err(|problem| problem + "\n")? {
        let text = input::text_of(&file, input::read(&file)?)?;
        let checked = input::checked(&file)?;
        let inferred = checked.inferred.map_err(|errors| input::render(&errors, &checked.sources))?;
        let module = file.strip_prefix(&sources).unwrap_or(&file).with_extension("");
        let module = module.display().to_string().replace(['/', '\\'], "::");
        own.push((module, page(&text, inferred.bindings.iter().map(|(name, ty)| (&**name, ty.as_str())))));
    }
    let standard: Vec<(String, Page)> = standard_modules()
        .filter_map(|(module, _)| Some((module.to_owned(), input::on_compiler_thread(|| standard_page(module)).ok()??)))
        .collect();
    let prelude = Page { intro: "What every program can use without declaring it.".into(), entries: prelude_entries() };

    let folder = project.build().join("doc");
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}\n", folder.display()))?;
    let write = |file: &str, text: String| {
        let path = folder.join(file);
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}\n", path.display()))
    };
    let mut index = format!("<h1>{}</h1>\n<h2>Modules</h2>\n", escape(name));
    list(&mut index, &own, "module");
    index.push_str(
        "<h2>Standard library</h2>\n<ul>\n<li><a href=\"prelude.html\"><code>prelude</code></a></li>\n</ul>\n",
    );
    list(&mut index, &standard, "std");
    write("index.html", html(name, &index))?;
    write("prelude.html", html("prelude", &body("prelude", &prelude, "")))?;
    for (kind, pages) in [("module", &own), ("std", &standard)] {
        for (module, page) in pages {
            let prefix = format!("{}::", module.rsplit("::").next().unwrap_or(module));
            write(&file_name(kind, module), html(module, &body(module, page, &prefix)))?;
        }
    }
    Ok((2 + own.len() + standard.len(), folder.join("index.html")))
}

fn file_name(kind: &str, module: &str) -> String {
    format!("{kind}.{}.html", module.replace("::", "."))
}

fn list(out: &mut String, pages: &[(String, Page)], kind: &str) {
    out.push_str("<ul>\n");
    for (module, page) in pages {
        let first = page.intro.lines().next().unwrap_or("");
        let _ = writeln!(
            out,
            "<li><a href=\"{}\"><code>{}</code></a> {}</li>",
            file_name(kind, module),
            escape(module),
            prose(first)
        );
    }
    out.push_str("</ul>\n");
}

fn body(module: &str, page: &Page, prefix: &str) -> String {
    let mut out = format!("<nav><a href=\"index.html\">index</a></nav>\n<h1><code>{}</code></h1>\n", escape(module));
    for paragraph in page.intro.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let _ = writeln!(out, "<p>{}</p>", prose(paragraph));
    }
    out.push_str("<dl>\n");
    for Entry { name, ty, text } in page.entries.iter().filter(|entry| !entry.text.is_empty()) {
        let _ = writeln!(
            out,
            "<dt id=\"{0}\"><code class=\"name\">{1}{0}</code> <code class=\"type\">: {2}</code></dt>\n<dd>{3}</dd>",
            escape(name),
            escape(prefix),
            escape(ty),
            prose(text)
        );
    }
    out.push_str("</dl>\n");
    out
}

fn html(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{STYLE}</style>\n<body>\n{body}</body>\n</html>\n",
        escape(title)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A comment as HTML: what stands between backquotes is code.
fn prose(text: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.split('`').enumerate() {
        let part = escape(part);
        out.push_str(&if at % 2 == 1 { format!("<code>{part}</code>") } else { part });
    }
    out
}
