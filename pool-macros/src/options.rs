//! `#[task(name = "...", crate = path)]`: the attribute's options.

use syn::{
    Error, Ident, LitStr, Path, Result, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    parse_quote,
};

use crate::errors::Errors;

const ACCEPTED: &str = "`name = \"...\"` and `crate = path`";

/// The options given, or what stands for them.
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) krate: Path,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut errors = Errors::default();
        let mut name: Option<LitStr> = None;
        let mut krate = None;
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            if key != "name" && key != "crate" {
                let text = format!("#[task] has no option `{key}`; its options are {ACCEPTED}");
                errors.push(Error::new_spanned(&key, text));
                skip_value(input)?;
            } else if !input.peek(Token![=]) {
                let text = format!("the option `{key}` wants a value, as in {ACCEPTED}");
                errors.push(Error::new_spanned(&key, text));
                skip_value(input)?;
            } else if key == "name" {
                input.parse::<Token![=]>()?;
                let value = input.parse()?;
                set(&mut name, value, &key, &mut errors);
            } else {
                input.parse::<Token![=]>()?;
                let value = input.call(Path::parse_mod_style)?;
                set(&mut krate, value, &key, &mut errors);
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if let Some(empty) = name.as_ref().filter(|name| name.value().trim().is_empty()) {
            errors.push(Error::new_spanned(
                empty,
                "a task's name must not be empty; leave it out to name the task after its function",
            ));
        }
        errors.into_result()?;
        Ok(Self {
            name,
            krate: krate.unwrap_or_else(|| parse_quote!(::pool_core)),
        })
    }
}

/// Takes an option's value, unless it has one already.
fn set<T>(option: &mut Option<T>, value: T, key: &Ident, errors: &mut Errors) {
    if option.is_some() {
        let text = format!("the option `{key}` is given twice");
        errors.push(Error::new_spanned(key, text));
    }
    *option = Some(value);
}

/// Passes over whatever a refused option was given, up to the next comma.
fn skip_value(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}
