//! The macro that makes the table of routes and the operations of the OpenAPI document from one list.
//!
//! Not here: the list itself ([`super::routes`]). The macro names what its caller has in scope.

/// Makes the table of routes, and what the document says of each.
macro_rules! routes {
    ($(
        $(#[$summary:meta])*
        $method:ident $path:tt => $module:ident::$handler:ident, $access:expr, { $($operation:tt)* }
    )*) => {
        /// Every route but the files of the viewer.
        const ROUTES: &[Route] = &[$(
            Route {
                path: $path,
                method: stringify!($method),
                access: $access,
                method_router: || routing::$method($module::$handler),
            },
        )*];

        /// The operations of the document, each made by the annotation of an empty function.
        mod documented {
            #![allow(dead_code, unused_imports, reason = "the functions are there for their annotations alone")]

            use super::super::{home::Home, whoami::Whoami, openapi::{Json, parameters::*, problems::*, requests::*, responses::*}};

            $(
                $(#[$summary])*
                #[utoipa::path($method, path = $path, $($operation)*)]
                fn $handler() {}
            )*

            #[derive(utoipa::OpenApi)]
            #[openapi(paths($($handler),*))]
            pub(in crate::http) struct Paths;
        }
    };
}

pub(super) use routes;
