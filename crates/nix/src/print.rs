//! Trees as the reference prints them (`nix-instantiate --parse`): desugared, in parentheses, sets sorted.

use crate::tree::{AttrName, AttrValue, Expr, ExprId, SetId, Symbol, Tree};

/// What is still to be printed, last first.
enum Item {
    Expr(ExprId),
    Text(&'static str),
    Name(Symbol),
}

/// The text of an expression.
pub fn print(tree: &Tree, root: ExprId) -> Vec<u8> {
    let mut printer = Printer { tree, out: Vec::new(), items: vec![Item::Expr(root)] };
    while let Some(item) = printer.items.pop() {
        match item {
            Item::Text(text) => printer.out.extend_from_slice(text.as_bytes()),
            Item::Name(name) => printer.name(name),
            Item::Expr(expr) => printer.expr(expr),
        }
    }
    printer.out
}

/// A string as it is written: `"…"`.
pub fn print_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            b'$' if text.get(at + 1) == Some(&b'{') => out.extend(b"\\$"),
            other => out.push(*other),
        }
    }
    out.push(b'"');
}

/// A number as C++ streams print it: six significant digits.
pub fn print_float(number: f64) -> String {
    const DIGITS: i32 = 6;
    let scientific = format!("{:.*e}", DIGITS as usize - 1, number);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if (-4..DIGITS).contains(&exponent) {
        return trim(&format!("{:.*}", (DIGITS - 1 - exponent).max(0) as usize, number));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
}

struct Printer<'t> {
    tree: &'t Tree,
    out: Vec<u8>,
    items: Vec<Item>,
}

impl Printer<'_> {
    fn name(&mut self, name: Symbol) {
        let name = self.tree.name(name);
        if is_plain(name) { self.out.extend_from_slice(name) } else { print_string(&mut self.out, name) }
    }

    /// Prints these next, in this order.
    fn next(&mut self, items: impl IntoIterator<Item = Item, IntoIter: DoubleEndedIterator>) {
        self.items.extend(items.into_iter().rev());
    }

    fn path(path: &[AttrName], items: &mut Vec<Item>) {
        for (at, name) in path.iter().enumerate() {
            if at > 0 {
                items.push(Item::Text("."));
            }
            match name {
                AttrName::Static(name) => items.push(Item::Name(*name)),
                AttrName::Dynamic(name) => items.extend([Item::Text("\"${"), Item::Expr(*name), Item::Text("}\"")]),
            }
        }
    }

    fn set(&self, id: SetId, items: &mut Vec<Item>) {
        let set = self.tree.set(id);
        let mut names: Vec<Symbol> = set.attrs.keys().copied().collect();
        names.sort_by_key(|name| self.tree.name(*name));
        // The names that are inherited from around the set, then those from each source.
        let mut groups = vec![Vec::new(); 1 + set.sources.len()];
        for name in &names {
            match set.attrs[name].value {
                AttrValue::Plain(_) => {}
                AttrValue::Inherited => groups[0].push(*name),
                AttrValue::From(source) => groups[1 + source as usize].push(*name),
            }
        }
        let sources = std::iter::once(None).chain(set.sources.iter().copied().map(Some));
        for (source, group) in sources.zip(groups).filter(|(_, group)| !group.is_empty()) {
            items.push(Item::Text("inherit"));
            if let Some(source) = source {
                items.extend([Item::Text(" ("), Item::Expr(source), Item::Text(")")]);
            }
            group.into_iter().for_each(|name| items.extend([Item::Text(" "), Item::Name(name)]));
            items.push(Item::Text("; "));
        }
        for name in &names {
            if let AttrValue::Plain(value) = set.attrs[name].value {
                items.extend([Item::Name(*name), Item::Text(" = "), Item::Expr(value), Item::Text("; ")]);
            }
        }
        for (name, value) in &set.dynamic {
            let name = [Item::Text("\"${"), Item::Expr(*name), Item::Text("}\" = ")];
            items.extend(name.into_iter().chain([Item::Expr(*value), Item::Text("; ")]));
        }
    }

    fn expr(&mut self, id: ExprId) {
        use Item::{Expr as E, Text as T};
        let tree = self.tree;
        let mut items = Vec::new();
        match tree.expr(id) {
            Expr::Int(number) => self.out.extend(number.to_string().bytes()),
            Expr::Float(number) => self.out.extend(print_float(*number).bytes()),
            Expr::Text(text) => print_string(&mut self.out, text),
            Expr::Path(path) => self.out.extend_from_slice(path),
            Expr::Name(name) => self.out.extend_from_slice(tree.name(*name)),
            Expr::Position => self.out.extend(b"__curPos"),
            Expr::Join(_, parts) => {
                items.push(T("("));
                for (at, part) in parts.iter().enumerate() {
                    items.extend((at > 0).then_some(T(" + ")));
                    items.push(E(*part));
                }
                items.push(T(")"));
            }
            Expr::Select(of, path, default) => {
                items.extend([T("("), E(*of), T(").")]);
                Self::path(path, &mut items);
                if let Some(default) = default {
                    items.extend([T(" or ("), E(*default), T(")")]);
                }
            }
            Expr::Has(of, path) => {
                items.extend([T("(("), E(*of), T(") ? ")]);
                Self::path(path, &mut items);
                items.push(T(")"));
            }
            Expr::Set(set) => {
                items.push(T(if tree.set(*set).recursive { "rec { " } else { "{ " }));
                self.set(*set, &mut items);
                items.push(T("}"));
            }
            Expr::List(list) => {
                items.push(T("[ "));
                list.iter().for_each(|item| items.extend([T("("), E(*item), T(") ")]));
                items.push(T("]"));
            }
            Expr::Lambda(lambda) => {
                items.push(T("("));
                if let Some(formals) = &lambda.formals {
                    let mut names: Vec<_> = formals.names.iter().collect();
                    names.sort_by_key(|formal| tree.name(formal.name));
                    items.push(T("{ "));
                    for (at, formal) in names.iter().enumerate() {
                        items.extend((at > 0).then_some(T(", ")));
                        items.push(Item::Name(formal.name));
                        if let Some(default) = formal.default {
                            items.extend([T(" ? "), E(default)]);
                        }
                    }
                    if formals.ellipsis {
                        items.push(T(if names.is_empty() { "..." } else { ", ..." }));
                    }
                    items.push(T(if lambda.argument.is_some() { " } @ " } else { " }" }));
                }
                items.extend(lambda.argument.map(Item::Name));
                items.extend([T(": "), E(lambda.body), T(")")]);
            }
            Expr::Call(function, args) => {
                items.extend([T("("), E(*function)]);
                args.iter().for_each(|arg| items.extend([T(" "), E(*arg)]));
                items.push(T(")"));
            }
            Expr::Let(set, body) => {
                items.push(T("(let "));
                self.set(*set, &mut items);
                items.extend([T("in "), E(*body), T(")")]);
            }
            Expr::With(scope, body) => items.extend([T("(with "), E(*scope), T("; "), E(*body), T(")")]),
            Expr::If(condition, then, other) => {
                items.extend([T("(if "), E(*condition), T(" then "), E(*then), T(" else "), E(*other), T(")")]);
            }
            Expr::Assert(condition, body) => items.extend([T("assert "), E(*condition), T("; "), E(*body)]),
            Expr::Not(expr) => items.extend([T("(! "), E(*expr), T(")")]),
            Expr::Binary(operator, left, right) => {
                items.extend([T("("), E(*left), T(" "), T(operator.text()), T(" "), E(*right), T(")")]);
            }
        }
        self.next(items);
    }
}

/// Whether a name can stand without quotes.
fn is_plain(name: &[u8]) -> bool {
    const KEYWORDS: &[&[u8]] = &[b"if", b"then", b"else", b"assert", b"with", b"let", b"in", b"rec", b"inherit"];
    let is_start = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    name.first().is_some_and(is_start)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_'-".contains(byte))
        && !KEYWORDS.contains(&name)
}
