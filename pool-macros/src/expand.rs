//! What is generated: the function as it was, and its registration beside it.
//!
//! The registration names everything by absolute hidden paths and needs no prelude. Names of its
//! own are hygienic, so that nothing in the caller's crate can be meant by them. The types of the
//! function's signature keep their place in the source: what the compiler has to say about them,
//! it says there.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Attribute, FnArg, Meta, Result, ReturnType, Signature, Token, Type, parse_quote,
    punctuated::Punctuated, spanned::Spanned,
};

use crate::{accept, function::Function, options::Options};

/// The function, and its registration or the reasons why there is none.
pub(crate) fn task(options: TokenStream, item: &TokenStream) -> TokenStream {
    match parse(options, item.clone()) {
        Ok((options, function)) => {
            let registration = registration(&options, &function);
            // These two lints, which are off unless the caller asks for pedantry, have but one
            // remedy, a parameter that is a reference, and that is what a task cannot have. Elsewhere
            // they are expected, not allowed; here nobody knows whether they are raised. They come
            // first, so that whatever the caller says about them holds.
            quote! {
                #[allow(clippy::needless_pass_by_value, clippy::large_types_passed_by_value)]
                #item
                #registration
            }
        }
        Err(errors) => {
            let errors = errors.to_compile_error();
            quote!(#item #errors)
        }
    }
}

/// Options and function, or the errors in both.
fn parse(options: TokenStream, item: TokenStream) -> Result<(Options, Function)> {
    let options = syn::parse2::<Options>(options);
    let function = syn::parse2::<Function>(item)
        .and_then(|function| accept::check(&function.signature).map(|()| function));
    match (options, function) {
        (Ok(options), Ok(function)) => Ok((options, function)),
        (Err(mut errors), Err(more)) => {
            errors.combine(more);
            Err(errors)
        }
        (Err(errors), Ok(_)) | (Ok(_), Err(errors)) => Err(errors),
    }
}

/// The item that registers the function.
fn registration(options: &Options, function: &Function) -> TokenStream {
    let attributes = function.attributes.iter().filter_map(governing);
    let private = {
        let krate = &options.krate;
        quote!(#krate::__private)
    };
    let name = options.name.as_ref().map(|name| quote!(.named(#name)));
    let item = &function.signature.ident;
    let shim = shim(&private, &function.signature);
    quote! {
        #(#attributes)*
        const _: () = {
            #private::submit! {
                #private::TaskEntry::new(#item, #shim) #name
            }
        };
    }
}

/// The code by which a worker calls the function: it decodes, calls and encodes.
fn shim(private: &TokenStream, signature: &Signature) -> TokenStream {
    let hygienic = |name: &str| Ident::new(name, Span::mixed_site());
    let (encoded, output) = (hygienic("__encoded"), hygienic("__output"));
    let types = || signature.inputs.iter().filter_map(typed);
    let values: Vec<Ident> = (0..types().count())
        .map(|index| format_ident!("__value{index}", span = Span::mixed_site()))
        .collect();
    let takes = types().map(|ty| quote_spanned!(at(ty)=> #encoded.take::<#ty>()?));
    let unit = parse_quote!(());
    let returned = match &signature.output {
        ReturnType::Type(_, ty) => ty,
        ReturnType::Default => &unit,
    };
    let returns = quote_spanned!(at(returned)=> #private::returned::<#returned>);
    let function = &signature.ident;
    quote! {
        |#encoded, #output| {
            let mut #encoded = #private::Arguments::new(#encoded);
            #(let #values = #takes;)*
            #encoded.finish()?;
            #returns(#function(#(#values),*), #output)
        }
    }
}

/// The place of a type, for generated code about it.
fn at(ty: &Type) -> Span {
    Span::call_site().located_at(ty.span())
}

/// The type of a parameter that is no `self`.
fn typed(parameter: &FnArg) -> Option<&Type> {
    match parameter {
        FnArg::Typed(parameter) => Some(&parameter.ty),
        FnArg::Receiver(_) => None,
    }
}

/// What an attribute of the function means for its registration, if anything.
fn governing(attribute: &Attribute) -> Option<TokenStream> {
    governing_meta(&attribute.meta).map(|meta| quote!(#[#meta]))
}

/// The registration exists where the function does, and whoever silenced a lint about the
/// function's signature is not told by the registration, which repeats it.
fn governing_meta(meta: &Meta) -> Option<TokenStream> {
    let path = meta.path();
    if path.is_ident("cfg") || path.is_ident("allow") {
        return Some(quote!(#meta));
    }
    if path.is_ident("expect") {
        let lints = &meta.require_list().ok()?.tokens;
        return Some(quote!(allow(#lints)));
    }
    if path.is_ident("deprecated") {
        return Some(quote!(allow(deprecated)));
    }
    if path.is_ident("cfg_attr") {
        let parts = meta
            .require_list()
            .and_then(|list| list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated))
            .ok()?;
        let condition = parts.first()?;
        let kept: Vec<_> = parts.iter().skip(1).filter_map(governing_meta).collect();
        return (!kept.is_empty()).then(|| quote!(cfg_attr(#condition, #(#kept),*)));
    }
    None
}
