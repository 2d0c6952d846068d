#[derive(Clone, Copy)]
struct Own;

impl pool_core::Task<u8> for Own {
    type Args = ();
    type Output = ();
}

fn main() {}
