//! `planter LIST UNFIT FILE...`: rewrites files in place so that each of many small defects can be switched on by its number,
//! and writes a list of them. One build then serves all, where a build for each would take days.
//!
//! A defect is a comparison turned round or off by one, a condition that is always or never true, a statement left out, a sum
//! taken for a difference, a number more, another step or outcome, a function that does nothing. Numbers that `UNFIT` holds
//! are passed over: they do not compile. `crate::planted::which()` says which defect is on.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Arm, Attribute, BinOp, Block, Expr, ExprLit, Ident, ImplItemConst, ImplItemFn, ItemConst, ItemFn, Lit, LitInt,
    Local, Pat, ReturnType, Signature, Stmt, Type, UnOp, parse_quote,
};

struct Planter {
    next: u32,
    unfit: HashSet<u32>,
    list: String,
    file: String,
    function: String,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let unfit = std::fs::read_to_string(&args[2]).unwrap_or_default();
    let unfit = unfit.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let mut planter = Planter { next: 1, unfit, list: String::new(), file: String::new(), function: String::new() };
    for path in &args[3..] {
        let source = std::fs::read_to_string(path).expect("a file that can be read");
        let mut file = syn::parse_file(&source).expect("Rust");
        planter.file = Path::new(path).file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
        planter.visit_file_mut(&mut file);
        std::fs::write(path, prettyplease::unparse(&file)).expect("a file that can be written");
    }
    std::fs::write(&args[1], planter.list).expect("a list that can be written");
}

impl Planter {
    fn plant(&mut self, line: usize, what: &str) -> Option<u32> {
        let number = self.next;
        self.next += 1;
        if self.unfit.contains(&number) {
            return None;
        }
        writeln!(self.list, "{number}\t{}\t{line}\t{}\t{what}", self.file, self.function).expect("text takes text");
        Some(number)
    }

    /// One of these in place of an expression.
    fn choose(&mut self, line: usize, now: Expr, others: Vec<(String, Expr)>) -> Expr {
        let mut arms = Vec::new();
        for (what, other) in others {
            if let Some(number) = self.plant(line, &what) {
                arms.push(quote!(#number => #other,));
            }
        }
        if arms.is_empty() {
            return now;
        }
        parse_quote!((match crate::planted::which() { #(#arms)* _ => #now }))
    }

    /// The parts of a condition, each always false, and always true unless that would never end.
    fn condition(&mut self, condition: &mut Expr, ends: bool) {
        match condition {
            Expr::Binary(both) if matches!(both.op, BinOp::And(_)) => {
                self.condition(&mut both.left, ends);
                self.condition(&mut both.right, ends);
            }
            Expr::Let(pattern) => self.visit_expr_mut(&mut pattern.expr),
            Expr::Paren(inner) if matches!(&*inner.expr, Expr::Binary(_)) => self.visit_expr_mut(&mut inner.expr),
            _ => {
                let was = condition.clone();
                self.visit_expr_mut(condition);
                // Comparisons have defects of their own.
                if matches!(&was, Expr::Binary(both) if !other_operators(&both.op).is_empty()) {
                    return;
                }
                let mut others: Vec<(String, Expr)> =
                    vec![(format!("cond `{}` -> false", text(&was)), parse_quote!(false))];
                if ends {
                    others.push((format!("cond `{}` -> true", text(&was)), parse_quote!(true)));
                }
                *condition = self.choose(was.span().start().line, condition.clone(), others);
            }
        }
    }

    /// The statements of a block, each left out. The last stays where the block must not end.
    fn statements(&mut self, block: &mut Block, last_is_unit: bool, must_not_end: bool) {
        let count = block.stmts.len();
        for (at, statement) in block.stmts.iter_mut().enumerate() {
            let is_last = at + 1 == count;
            let was = statement.clone();
            visit_mut::visit_stmt_mut(self, statement);
            let can_go = match &was {
                _ if is_last && must_not_end => false,
                Stmt::Expr(expr, Some(_)) => matches!(
                    expr,
                    Expr::MethodCall(_)
                        | Expr::Call(_)
                        | Expr::Assign(_)
                        | Expr::Binary(_)
                        | Expr::Return(_)
                        | Expr::Continue(_)
                        | Expr::Break(_)
                ),
                Stmt::Expr(expr, None) => {
                    is_last && last_is_unit && matches!(expr, Expr::MethodCall(_) | Expr::Call(_))
                }
                _ => false,
            };
            if can_go && let Some(number) = self.plant(was.span().start().line, &format!("delete `{}`", text(&was))) {
                let now = match statement.clone() {
                    Stmt::Expr(expr, None) => Stmt::Expr(expr, Some(Default::default())),
                    other => other,
                };
                *statement = parse_quote!(if crate::planted::which() != #number { #now });
            }
        }
    }

    /// A function, and what it may answer at once.
    fn body(&mut self, signature: &Signature, block: &mut Block) {
        let answers: Vec<Expr> = match &signature.output {
            ReturnType::Default => vec![parse_quote!(())],
            ReturnType::Type(_, kind) => match text(kind).as_str() {
                "bool" => vec![parse_quote!(true), parse_quote!(false)],
                "usize" => vec![parse_quote!(0), parse_quote!(1)],
                "Duration" | "Time" => vec![parse_quote!(std::time::Duration::ZERO)],
                kind if kind.starts_with("Option") => vec![parse_quote!(None)],
                kind if kind.starts_with("Vec") => vec![parse_quote!(Vec::new())],
                _ => Vec::new(),
            },
        };
        self.statements(block, matches!(signature.output, ReturnType::Default), false);
        for answer in answers {
            let what = format!("fn {} -> {}", signature.ident, text(&answer));
            if let Some(number) = self.plant(signature.span().start().line, &what) {
                block.stmts.insert(0, parse_quote!(if crate::planted::which() == #number { return #answer; }));
            }
        }
    }
}

impl VisitMut for Planter {
    // What the compiler computes cannot be switched.
    fn visit_item_const_mut(&mut self, _: &mut ItemConst) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut ImplItemConst) {}
    fn visit_attribute_mut(&mut self, _: &mut Attribute) {}
    fn visit_type_mut(&mut self, _: &mut Type) {}
    fn visit_pat_mut(&mut self, _: &mut Pat) {}

    fn visit_item_fn_mut(&mut self, function: &mut ItemFn) {
        self.function = function.sig.ident.to_string();
        self.body(&function.sig, &mut function.block);
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut ImplItemFn) {
        self.function = function.sig.ident.to_string();
        if function.sig.constness.is_none() {
            self.body(&function.sig, &mut function.block);
        }
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        self.statements(block, false, false);
    }

    fn visit_local_mut(&mut self, local: &mut Local) {
        let Some(init) = &mut local.init else { return };
        self.visit_expr_mut(&mut init.expr);
        if let Some((_, otherwise)) = &mut init.diverge
            && let Expr::Block(block) = &mut **otherwise
        {
            self.statements(&mut block.block, false, true);
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut Arm) {
        if let Some((_, guard)) = &mut arm.guard {
            self.condition(guard, true);
        }
        let was = (*arm.body).clone();
        self.visit_expr_mut(&mut arm.body);
        let does_something = match &was {
            Expr::Block(block) => !block.block.stmts.is_empty(),
            // That is the default.
            Expr::Call(call) if call.args.is_empty() => false,
            other => matches!(other, Expr::MethodCall(_) | Expr::Call(_) | Expr::Assign(_) | Expr::Binary(_)),
        };
        if does_something {
            let what = format!("arm `{} => {}` -> default", text(&arm.pat), text(&was));
            let others = vec![(what, parse_quote!(Default::default()))];
            *arm.body = self.choose(was.span().start().line, (*arm.body).clone(), others);
            arm.comma = Some(Default::default());
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::If(choice) => {
                self.condition(&mut choice.cond, true);
                self.statements(&mut choice.then_branch, false, false);
                if let Some((_, otherwise)) = &mut choice.else_branch {
                    self.visit_expr_mut(otherwise);
                }
                return;
            }
            Expr::While(repeated) => {
                self.condition(&mut repeated.cond, false);
                return self.statements(&mut repeated.body, true, false);
            }
            Expr::ForLoop(repeated) => {
                self.visit_expr_mut(&mut repeated.expr);
                return self.statements(&mut repeated.body, true, false);
            }
            Expr::Macro(_) | Expr::Let(_) => return,
            _ => {}
        }
        let was = expr.clone();
        visit_mut::visit_expr_mut(self, expr);
        let others = others(&was);
        if !others.is_empty() {
            *expr = self.choose(was.span().start().line, expr.clone(), others);
        }
    }
}

/// What a careless hand might have written instead.
fn others(expr: &Expr) -> Vec<(String, Expr)> {
    match expr {
        Expr::Binary(both) if !has_let(expr) => {
            let other = |op: BinOp| {
                let what = format!("`{}`: {} -> {}", text(both), text(&both.op), text(&op));
                (what, Expr::Binary(syn::ExprBinary { op, ..both.clone() }))
            };
            other_operators(&both.op).into_iter().map(other).collect()
        }
        Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
            vec![(format!("`{}`: no !", text(unary)), (*unary.expr).clone())]
        }
        Expr::MethodCall(call) => match other_method(&call.method.to_string(), call.args.len()) {
            Some(name) => {
                let method = Ident::new(name, call.method.span());
                let what = format!("`{}`: {} -> {name}", text(call), call.method);
                vec![(what, Expr::MethodCall(syn::ExprMethodCall { method, ..call.clone() }))]
            }
            None => Vec::new(),
        },
        Expr::Lit(ExprLit { lit: Lit::Int(literal), .. }) => {
            let number: u64 = literal.base10_parse().unwrap_or(0);
            let more = LitInt::new(&(number + 1).to_string(), literal.span());
            let mut others: Vec<(String, Expr)> = vec![(format!("{number} -> {}", number + 1), parse_quote!(#more))];
            if number == 1 {
                others.push(("1 -> 0".to_owned(), parse_quote!(0)));
            }
            others
        }
        Expr::Lit(ExprLit { lit: Lit::Bool(literal), .. }) => {
            let other = !literal.value;
            vec![(format!("{} -> {other}", literal.value), parse_quote!(#other))]
        }
        Expr::Path(path) if path.path.segments.len() == 2 => {
            let (kind, name) = (&path.path.segments[0].ident, &path.path.segments[1].ident);
            let other = |other: &&str| -> (String, Expr) {
                let what = format!("{kind}::{name} -> {other}");
                let other = Ident::new(other, name.span());
                (
                    what,
                    if other == "from_secs" { parse_quote!(#kind::from_secs(1)) } else { parse_quote!(#kind::#other) },
                )
            };
            other_names(&kind.to_string(), &name.to_string()).iter().map(other).collect()
        }
        _ => Vec::new(),
    }
}

fn other_operators(op: &BinOp) -> Vec<BinOp> {
    match op {
        BinOp::Eq(_) => vec![parse_quote!(!=)],
        BinOp::Ne(_) => vec![parse_quote!(==)],
        BinOp::Lt(_) => vec![parse_quote!(<=), parse_quote!(>=)],
        BinOp::Le(_) => vec![parse_quote!(<), parse_quote!(>)],
        BinOp::Gt(_) => vec![parse_quote!(>=), parse_quote!(<=)],
        BinOp::Ge(_) => vec![parse_quote!(>), parse_quote!(<)],
        BinOp::And(_) => vec![parse_quote!(||)],
        BinOp::Or(_) => vec![parse_quote!(&&)],
        BinOp::Add(_) => vec![parse_quote!(-)],
        BinOp::Sub(_) => vec![parse_quote!(+)],
        BinOp::Mul(_) => vec![parse_quote!(/)],
        BinOp::Div(_) => vec![parse_quote!(*)],
        BinOp::AddAssign(_) => vec![parse_quote!(-=)],
        BinOp::SubAssign(_) => vec![parse_quote!(+=)],
        BinOp::BitOrAssign(_) => vec![parse_quote!(&=)],
        _ => Vec::new(),
    }
}

fn other_method(name: &str, arguments: usize) -> Option<&'static str> {
    Some(match (name, arguments) {
        ("min", 1) => "max",
        ("max", 1) => "min",
        ("any", 1) => "all",
        ("all", 1) => "any",
        ("push_back", 1) => "push_front",
        ("push_front", 1) => "push_back",
        ("pop_front", 0) => "pop_back",
        ("is_ok", 0) => "is_err",
        ("is_err", 0) => "is_ok",
        ("is_some", 0) => "is_none",
        ("is_none", 0) => "is_some",
        ("saturating_add", 1) => "saturating_sub",
        ("saturating_sub", 1) => "saturating_add",
        ("take_while", 1) => "skip_while",
        ("first", 0) => "last",
        ("last", 0) => "first",
        ("skip", 1) => "take",
        ("take", 1) => "skip",
        _ => return None,
    })
}

/// Names of the state machine.
fn other_names(kind: &str, name: &str) -> &'static [&'static str] {
    match (kind, name) {
        ("Outcome", "Deleted") => &["LeaseLost", "Left"],
        ("Outcome", "Released") => &["LeaseLost", "Deleted"],
        ("Outcome", "Left") => &["LeaseLost"],
        ("Outcome", "LeaseLost") => &["Deleted"],
        ("Step", "Release") => &["Delete"],
        ("Step", "Letter") => &["Release", "Store"],
        ("Step", "Delete" | "Store" | "Process") => &["Release"],
        ("State", "Queued" | "Behind") => &["Later"],
        ("State", "Later") => &["Queued"],
        ("Duration" | "Time", "ZERO") => &["from_secs"],
        _ => &[],
    }
}

fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(both) if matches!(both.op, BinOp::And(_)) => has_let(&both.left) || has_let(&both.right),
        _ => false,
    }
}

fn text(tokens: &impl ToTokens) -> String {
    let text = tokens.to_token_stream().to_string();
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.len() > 110 { text.chars().take(107).chain("...".chars()).collect() } else { text }
}
