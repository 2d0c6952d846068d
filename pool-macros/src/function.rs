//! What the attribute sits on: as much of a function as matters here.

use proc_macro2::TokenStream;
use syn::{
    Attribute, Result, Signature, Token, Visibility,
    parse::{Parse, ParseStream},
    token::Brace,
};

/// A function without its body, which is nobody's business here.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) signature: Signature,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        if !is_function(input) {
            return Err(input.error(
                "#[task] belongs on a free function, such as `fn cube(x: i64) -> i64 { x * x * x }`",
            ));
        }
        let signature = input.parse()?;
        if !input.peek(Brace) {
            return Err(input.error(
                "#[task] belongs on a free function with a body; this one is only declared",
            ));
        }
        input.parse::<TokenStream>()?;
        Ok(Self {
            attributes,
            signature,
        })
    }
}

/// Whether a function begins here, its qualifiers first.
fn is_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    let qualifiers = || -> Result<()> {
        ahead.parse::<Option<Token![const]>>()?;
        ahead.parse::<Option<Token![async]>>()?;
        ahead.parse::<Option<Token![unsafe]>>()?;
        ahead.parse::<Option<syn::Abi>>()?;
        ahead.parse::<Token![fn]>()?;
        Ok(())
    };
    qualifiers().is_ok()
}
