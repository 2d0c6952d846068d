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
            let Ok(key) = input.call(Ident::parse_any) else {
                errors.push(input.error(format!("#[task] has the options {ACCEPTED}")));
                skip_value(input)?;
                skip_comma(input)?;
                continue;
            };
            if key != "name" && key != "crate" {
                let text = format!("#[task] has no option `{key}`; its options are {ACCEPTED}");
                errors.push(Error::new_spanned(&key, text));
                skip_value(input)?;
            } else if !input.peek(Token![=]) {
                let text = format!("the option `{key}` wants a value, as in {ACCEPTED}");
                errors.push(Error::new_spanned(&key, text));
                skip_value(input)?;
            } else {
                input.parse::<Token![=]>()?;
                if key == "name" {
                    let value = value(input, "a text", Parse::parse, &mut errors)?;
                    set(&mut name, value, &key, &mut errors);
                } else {
                    let value = value(input, "a path", Path::parse_mod_style, &mut errors)?;
                    set(&mut krate, value, &key, &mut errors);
                }
            }
            skip_comma(input)?;
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

/// The value of an option, unless it is not `what` it has to be.
fn value<T>(
    input: ParseStream<'_>,
    what: &str,
    parse: fn(ParseStream<'_>) -> Result<T>,
    errors: &mut Errors,
) -> Result<Option<T>> {
    let place = input.span();
    let value = parse(input);
    if value.is_err() {
        let text = format!("this is not {what}; the options are {ACCEPTED}");
        errors.push(Error::new(place, text));
        skip_value(input)?;
    }
    Ok(value.ok())
}

/// Takes an option's value, unless it has one already.
fn set<T>(option: &mut Option<T>, value: Option<T>, key: &Ident, errors: &mut Errors) {
    if option.is_some() {
        let text = format!("the option `{key}` is given twice");
        errors.push(Error::new_spanned(key, text));
    }
    *option = value;
}

/// Passes over what separates an option from the next one.
fn skip_comma(input: ParseStream<'_>) -> Result<()> {
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(())
}

/// Passes over whatever a refused option was given, up to the next comma.
fn skip_value(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}
