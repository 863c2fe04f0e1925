//! Which names are bound: every variable must be, by something around it, by a `with`, or by the base scope.

use crate::Problem;
use crate::tree::{AttrName, AttrValue, Expr, ExprId, SetId, Symbol, Tree};
use std::collections::HashSet;

/// Variables of the base scope that are called like their built-ins.
const PLAIN: &[&str] = &[
    "abort",
    "baseNameOf",
    "break",
    "builtins",
    "derivation",
    "derivationStrict",
    "dirOf",
    "false",
    "fetchGit",
    "fetchMercurial",
    "fetchTarball",
    "fetchTree",
    "fromTOML",
    "import",
    "isNull",
    "map",
    "null",
    "placeholder",
    "removeAttrs",
    "scopedImport",
    "throw",
    "toString",
    "true",
];

/// Built-ins whose variables of the base scope begin with `__`.
const UNDERSCORED: &[&str] = &[
    "add",
    "addDrvOutputDependencies",
    "addErrorContext",
    "all",
    "any",
    "appendContext",
    "attrNames",
    "attrValues",
    "bitAnd",
    "bitOr",
    "bitXor",
    "catAttrs",
    "ceil",
    "compareVersions",
    "concatLists",
    "concatMap",
    "concatStringsSep",
    "convertHash",
    "currentSystem",
    "currentTime",
    "deepSeq",
    "div",
    "elem",
    "elemAt",
    "fetchClosure",
    "fetchurl",
    "filter",
    "filterSource",
    "findFile",
    "flakeRefToString",
    "floor",
    "foldl'",
    "fromJSON",
    "functionArgs",
    "genList",
    "genericClosure",
    "getAttr",
    "getContext",
    "getEnv",
    "getFlake",
    "groupBy",
    "hasAttr",
    "hasContext",
    "hashFile",
    "hashString",
    "head",
    "intersectAttrs",
    "isAttrs",
    "isBool",
    "isFloat",
    "isFunction",
    "isInt",
    "isList",
    "isPath",
    "isString",
    "langVersion",
    "length",
    "lessThan",
    "listToAttrs",
    "mapAttrs",
    "match",
    "mul",
    "nixPath",
    "nixVersion",
    "outputOf",
    "parseDrvName",
    "parseFlakeRef",
    "partition",
    "path",
    "pathExists",
    "readDir",
    "readFile",
    "readFileType",
    "replaceStrings",
    "seq",
    "sort",
    "split",
    "splitVersion",
    "storeDir",
    "storePath",
    "stringLength",
    "sub",
    "substring",
    "tail",
    "toFile",
    "toJSON",
    "toPath",
    "toXML",
    "trace",
    "traceVerbose",
    "tryEval",
    "typeOf",
    "unsafeDiscardOutputDependency",
    "unsafeDiscardStringContext",
    "unsafeGetAttrPos",
    "warn",
    "zipAttrsWith",
];

/// What is still to be looked at, last first.
enum Item {
    Visit(ExprId),
    /// A name that is inherited from around a set, at a place.
    Use(Symbol, u32),
    Bind(SetId),
    Unbind(SetId),
    BindFormals(ExprId),
    UnbindFormals(ExprId),
    With,
    EndWith,
}

/// Checks that all variables are bound.
///
/// # Errors
/// The first one in the order of the source's parts that is not.
pub fn check(tree: &Tree, root: ExprId) -> Result<(), Problem> {
    let base = PLAIN.iter().map(|name| (*name).to_owned()).chain(UNDERSCORED.iter().map(|name| format!("__{name}")));
    let base: HashSet<Symbol> = base.filter_map(|name| tree.find(name.as_bytes())).collect();
    let mut scope = Scope { tree, base, bound: vec![0; tree.names()], withs: 0, items: vec![Item::Visit(root)] };
    while let Some(item) = scope.items.pop() {
        scope.step(item)?;
    }
    Ok(())
}

struct Scope<'t> {
    tree: &'t Tree,
    base: HashSet<Symbol>,
    /// By name: how many scopes around bind it.
    bound: Vec<u32>,
    withs: u32,
    items: Vec<Item>,
}

impl Scope<'_> {
    fn step(&mut self, item: Item) -> Result<(), Problem> {
        match item {
            Item::Visit(expr) => self.visit(expr)?,
            Item::Use(name, at) => self.use_name(name, at)?,
            Item::Bind(set) => self.tree.set(set).attrs.keys().for_each(|name| self.bound[name.0 as usize] += 1),
            Item::Unbind(set) => self.tree.set(set).attrs.keys().for_each(|name| self.bound[name.0 as usize] -= 1),
            Item::BindFormals(lambda) => self.formals(lambda).into_iter().for_each(|name| self.bound[name] += 1),
            Item::UnbindFormals(lambda) => self.formals(lambda).into_iter().for_each(|name| self.bound[name] -= 1),
            Item::With => self.withs += 1,
            Item::EndWith => self.withs -= 1,
        }
        Ok(())
    }

    fn use_name(&self, name: Symbol, at: u32) -> Result<(), Problem> {
        if self.bound[name.0 as usize] > 0 || self.withs > 0 || self.base.contains(&name) {
            return Ok(());
        }
        let name = String::from_utf8_lossy(self.tree.name(name)).into_owned();
        Err(Problem::new(at as usize, format!("undefined variable '{name}'")))
    }

    fn formals(&self, lambda: ExprId) -> Vec<usize> {
        let Expr::Lambda(lambda) = self.tree.expr(lambda) else { return Vec::new() };
        let formals = lambda.formals.iter().flat_map(|formals| &formals.names).map(|formal| formal.name);
        formals.chain(lambda.argument).map(|name| name.0 as usize).collect()
    }

    /// Looks at these next, in this order.
    fn next(&mut self, items: Vec<Item>) {
        self.items.extend(items.into_iter().rev());
    }

    fn path(path: &[AttrName]) -> impl Iterator<Item = Item> {
        path.iter().filter_map(|name| match name {
            AttrName::Dynamic(name) => Some(Item::Visit(*name)),
            AttrName::Static(_) => None,
        })
    }

    /// What stands in a set or `let`, whose names are bound there if it is recursive.
    fn set(&self, id: SetId, items: &mut Vec<Item>) {
        let set = self.tree.set(id);
        let mut attrs: Vec<_> = set.attrs.iter().collect();
        attrs.sort_unstable_by_key(|(_, attr)| attr.at);
        for (name, attr) in &attrs {
            if attr.value == AttrValue::Inherited {
                items.push(Item::Use(**name, attr.at));
            }
        }
        if set.recursive {
            items.push(Item::Bind(id));
        }
        items.extend(set.sources.iter().copied().map(Item::Visit));
        for (_, attr) in attrs {
            if let AttrValue::Plain(value) = attr.value {
                items.push(Item::Visit(value));
            }
        }
        for (name, value) in &set.dynamic {
            items.extend([Item::Visit(*name), Item::Visit(*value)]);
        }
    }

    fn visit(&mut self, id: ExprId) -> Result<(), Problem> {
        use Item::Visit;
        let tree = self.tree;
        let mut items = Vec::new();
        match tree.expr(id) {
            Expr::Int(_) | Expr::Float(_) | Expr::Text(_) | Expr::Path(_) | Expr::Position => {}
            Expr::Name(name) => self.use_name(*name, tree.place(id))?,
            Expr::Join(_, parts) | Expr::List(parts) => items.extend(parts.iter().copied().map(Visit)),
            Expr::Select(of, path, default) => {
                items.push(Visit(*of));
                items.extend(Self::path(path));
                items.extend(default.map(Visit));
            }
            Expr::Has(of, path) => {
                items.push(Visit(*of));
                items.extend(Self::path(path));
            }
            Expr::Set(set) => {
                self.set(*set, &mut items);
                if tree.set(*set).recursive {
                    items.push(Item::Unbind(*set));
                }
            }
            Expr::Let(set, body) => {
                self.set(*set, &mut items);
                items.extend([Visit(*body), Item::Unbind(*set)]);
            }
            Expr::Lambda(lambda) => {
                items.push(Item::BindFormals(id));
                let formals = lambda.formals.iter().flat_map(|formals| &formals.names);
                items.extend(formals.filter_map(|formal| formal.default).map(Visit));
                items.extend([Visit(lambda.body), Item::UnbindFormals(id)]);
            }
            Expr::Call(function, args) => {
                items.push(Visit(*function));
                items.extend(args.iter().copied().map(Visit));
            }
            Expr::With(scope, body) => items.extend([Visit(*scope), Item::With, Visit(*body), Item::EndWith]),
            Expr::If(condition, then, other) => items.extend([Visit(*condition), Visit(*then), Visit(*other)]),
            Expr::Assert(left, right) | Expr::Binary(_, left, right) => items.extend([Visit(*left), Visit(*right)]),
            Expr::Not(expr) => items.push(Visit(*expr)),
        }
        self.next(items);
        Ok(())
    }
}
