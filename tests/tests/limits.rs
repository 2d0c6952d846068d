//! Values of every size, both ways at once, and memory that stays within bounds.

use std::iter;

use pool_core::{Executor, TaskFuture};
use pool_tests::{
    Footprint, Isolated, Misdeed, anonymous, executor, isolated, pattern, resident,
    tasks::{bytes, count, cube, misbehave, sum, zeros},
};

/// The sizes around which something changes on the way.
const SIZES: [usize; 21] = [
    0, 1, 2, 31, 32, 63, 64, 65, 127, 255, 256, 1000, 4095, 4096, 4097, 32_767, 32_768, 65_535,
    65_536, 65_537, 200_000,
];

#[test]
fn every_size_there_and_back() {
    isolated(|| {
        let executor = executor(2);
        for size in SIZES {
            let value = pattern(size);
            for near in [
                size.saturating_sub(20),
                size.saturating_sub(8),
                size,
                size + 9,
            ] {
                let value = pattern(near);
                assert_eq!(executor.submit_ref(bytes, &value).result().unwrap(), value);
            }
            let futures: Vec<_> = (0..10)
                .map(|_| executor.submit_ref(bytes, &value))
                .collect();
            for future in futures {
                assert!(future.result().unwrap() == value, "{size} bytes");
            }
        }
    });
}

#[test]
fn large_values_there_and_back() {
    Isolated::new().large().run(|| {
        let executor = executor(2);
        for size in [1 << 20, 4 << 20, (4 << 20) + 1, 64 << 20] {
            let value = pattern(size);
            let echoed = executor.submit_ref(bytes, &value).result().unwrap();
            assert!(echoed == value, "{size} bytes");
        }
        let value = vec![1; 16 << 20];
        assert_eq!(
            executor.submit_ref(count, &value).result().unwrap(),
            value.len()
        );
        let zeros = executor.submit(zeros, value.len()).result().unwrap();
        assert_eq!(zeros.len(), value.len());
    });
}

#[test]
fn large_arguments_and_results_on_all_workers_at_once() {
    Isolated::new().large().run(|| {
        for workers in [1, 2, 4] {
            let executor = executor(workers);
            let value = pattern(1 << 20);
            let futures: Vec<_> = (0..4 * workers)
                .map(|_| executor.submit_ref(bytes, &value))
                .collect();
            futures.iter().rev().for_each(TaskFuture::wait);
            for future in futures {
                assert!(future.result().unwrap() == value);
            }
            let unread: Vec<_> = (0..2 * workers)
                .map(|_| executor.submit_ref(bytes, &value))
                .collect();
            assert_eq!(
                executor.submit(cube, 2).result().unwrap(),
                8,
                "unread ones block nobody"
            );
            drop(unread);
        }
    });
}

#[test]
fn large_and_small_ones_mixed() {
    Isolated::new().large().run(|| {
        let executor = executor(2);
        let sizes: Vec<usize> = (0..300)
            .map(|x| if x % 10 == 0 { 1 << 20 } else { x })
            .collect();
        let results = executor.map(zeros, sizes.iter().copied());
        for (result, &size) in results.zip(&sizes) {
            assert_eq!(result.unwrap().len(), size);
        }
        let values: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![7; size]).collect();
        let mut map = executor.map_ref(bytes, &values).unordered();
        assert!(map.all(|(index, result)| result.unwrap() == values[index]));
    });
}

#[test]
fn an_endless_map_stays_within_bounds() {
    Isolated::new().large().run(|| {
        let executor = executor(2);
        let before = resident();
        let large = iter::repeat_with(|| vec![1; 1 << 20]);
        for result in executor.map(bytes, large).take(200) {
            assert_eq!(result.unwrap().len(), 1 << 20);
        }
        let grown = resident().saturating_sub(before);
        assert!(
            grown < 128 << 20,
            "{grown} bytes more after 200 MiB each way"
        );
        let items = if cfg!(debug_assertions) {
            200_000
        } else {
            10_000_000
        };
        let before = resident();
        let results = executor.map(cube, (0..1000).cycle()).take(items);
        assert_eq!(results.map(Result::unwrap).count(), items);
        let grown = resident().saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes more after {items} items");
    });
}

#[test]
fn an_unread_map_stays_within_bounds() {
    Isolated::new().large().run(|| {
        let executor = executor(2);
        let before = resident();
        let large = iter::repeat_with(|| vec![1; 1 << 20]);
        let map = executor.map(bytes, large).start();
        for x in 0..2000 {
            assert_eq!(executor.submit(cube, x).result().unwrap(), cube(x));
        }
        let grown = resident().saturating_sub(before);
        assert!(
            grown < 256 << 20,
            "{grown} bytes are held for a map that nobody reads"
        );
        drop(map);
    });
}

#[test]
fn calls_over_and_over_leak_nothing() {
    isolated(|| {
        let executor = executor(2);
        let mut before = 0;
        for round in 0..20 {
            let futures: Vec<_> = (0..2000).map(|x| executor.submit(cube, x)).collect();
            assert!(futures.into_iter().all(|future| future.result().is_ok()));
            if round == 3 {
                before = resident();
            }
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 4 << 20, "{grown} bytes more after 32,000 calls");
    });
}

/// A single page that each one leaves, of a stack or a ring, would be twice as much as is allowed.
#[test]
fn executors_over_and_over_leak_nothing() {
    Isolated::new().large().run(|| {
        let ends: [fn(Executor); 3] = [
            drop,
            |executor| executor.shutdown(),
            |executor| executor.kill(),
        ];
        let live = |count: usize| {
            for round in 0..count {
                let executor = executor(1 + round % 2);
                let numbers = executor.share_slice(&[1_u8; 1000]).unwrap();
                assert_eq!(executor.submit(sum, numbers).result().unwrap(), 1000);
                assert!(executor.submit(misbehave, Misdeed::Kill).result().is_err());
                ends[round % ends.len()](executor);
            }
        };
        // What the allocator keeps for so many threads at a time, it has after some.
        live(60);
        let (footprint, before) = (Footprint::take(), anonymous());
        live(300);
        footprint.returns();
        let grown = anonymous().saturating_sub(before);
        assert!(grown < 512 << 10, "{grown} bytes more after 300 executors");
    });
}
