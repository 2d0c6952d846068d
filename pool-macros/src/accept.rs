//! What may be a task.
//!
//! Only what the tokens tell is judged here. Whether serde knows a type is for the compiler to say,
//! about the code that [`expand`](crate::expand) makes.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    Error, FnArg, GenericParam, PatType, Result, ReturnType, Safety, Signature, Type, TypeFnPtr,
    TypeImplTrait, TypeReference, visit::Visit,
};

use crate::errors::Errors;

/// As many parameters as `pool_worker::Task` is implemented for.
const MAX_PARAMETERS: usize = 16;

/// The numbers whose slices `pool_worker::Shared` holds as they are.
const PLAIN: [&str; 14] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64",
];

/// Refuses a function that cannot be a task, for all reasons at once.
pub(crate) fn check(signature: &Signature) -> Result<()> {
    let mut refused = Refused::default();
    refused.qualifiers(signature);
    refused.generics(signature);
    refused.parameters(signature);
    refused.output(&signature.output);
    refused.0.into_result()
}

#[derive(Default)]
struct Refused(Errors);

impl Refused {
    fn at(&mut self, tokens: impl ToTokens, text: impl std::fmt::Display) {
        self.0.push(Error::new_spanned(tokens, text));
    }

    fn qualifiers(&mut self, signature: &Signature) {
        if let Some(token) = signature.asyncness {
            self.at(
                token,
                "a task cannot be `async` yet: write an ordinary function, which may block; \
                 each worker runs one call at a time",
            );
        }
        if let Safety::Unsafe(token) = signature.safety {
            self.at(
                token,
                "a task cannot be `unsafe`: nobody can keep a promise for a caller in another \
                 process; write a safe function with the unsafe block inside",
            );
        }
        if let Some(abi) = &signature.abi {
            self.at(
                abi,
                "a task cannot be `extern`: write a Rust function that calls this one",
            );
        }
    }

    fn generics(&mut self, signature: &Signature) {
        for parameter in &signature.generics.params {
            let text = match parameter {
                GenericParam::Lifetime(_) => {
                    "a task cannot borrow, so it has no lifetimes: take and return owned values"
                }
                GenericParam::Type(_) | GenericParam::Const(_) => {
                    "a task cannot be generic yet: write one task for each instance, \
                     which may call the generic function"
                }
            };
            self.at(parameter, text);
        }
    }

    fn parameters(&mut self, signature: &Signature) {
        for parameter in &signature.inputs {
            match parameter {
                FnArg::Receiver(receiver) => self.at(
                    receiver,
                    "a task is a free function: move it out of the `impl`, and take the value as \
                     an ordinary parameter, as in `this: MyType`",
                ),
                FnArg::Typed(parameter) => self.parameter(parameter),
            }
        }
        if let Some(variadic) = &signature.variadic {
            self.at(
                variadic,
                "a task has a fixed number of parameters: take a `Vec<T>`",
            );
        }
        let beyond: TokenStream = signature
            .inputs
            .iter()
            .skip(MAX_PARAMETERS)
            .map(ToTokens::to_token_stream)
            .collect();
        if !beyond.is_empty() {
            let text =
                format!("a task has at most {MAX_PARAMETERS} parameters: put them in a struct");
            self.at(beyond, text);
        }
    }

    fn parameter(&mut self, parameter: &PatType) {
        for attribute in &parameter.attrs {
            if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
                self.at(
                    attribute,
                    "a task's parameters cannot depend on the configuration: write two functions, \
                     each with `#[cfg(..)]`",
                );
            }
        }
        self.visit_type(&parameter.ty);
    }

    fn output(&mut self, output: &ReturnType) {
        match output {
            ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) => self.at(
                ty,
                "a task cannot return `!`: leave the return type out; a body that never ends, or \
                 ends the process, fits any",
            ),
            ReturnType::Type(_, ty) => self.visit_type(ty),
            ReturnType::Default => {}
        }
    }
}

impl<'ast> Visit<'ast> for Refused {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        let owned = owned(reference);
        self.at(
            reference,
            format!(
                "a task runs in another process, so nothing it takes or returns can be \
                     borrowed: write {owned}"
            ),
        );
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.at(
            ty,
            "a task's types must be known to both processes: write a type in place of `impl \
             Trait`, such as `Vec<T>` for `impl Iterator<Item = T>` or `String` for \
             `impl Into<String>`",
        );
    }

    /// What a function pointer borrows is no affair of ours: serde will not know the pointer.
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
}

/// What to write for a reference.
fn owned(reference: &TypeReference) -> String {
    let target = &*reference.elem;
    let text = text(target);
    if reference.mutability.is_some() {
        return format!("`{text}`, and return it changed");
    }
    if let Type::Slice(slice) = target {
        let item = self::text(&slice.elem);
        let shared = if PLAIN.contains(&item.as_str()) {
            format!("[{item}]")
        } else {
            format!("Vec<{item}>")
        };
        return format!("`Vec<{item}>`, or `Shared<{shared}>` for one list in many calls");
    }
    let last = match target {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    };
    match last.as_deref() {
        Some("str") => "`String`".to_owned(),
        Some("Path") => "`PathBuf`".to_owned(),
        Some("OsStr") => "`OsString`".to_owned(),
        Some("CStr") => "`CString`".to_owned(),
        _ if matches!(target, Type::TraitObject(_)) => "a type of your own".to_owned(),
        _ => format!("`{text}`, or `Shared<{text}>` for one value in many calls"),
    }
}

/// A type as people write it; tokens come with a space on each side.
fn text(ty: &Type) -> String {
    [
        (" ::", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
    ]
    .into_iter()
    .fold(ty.to_token_stream().to_string(), |text, (spaced, dense)| {
        text.replace(spaced, dense)
    })
}
