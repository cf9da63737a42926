//! Models in several files: the first part opens all, and whatever does not fit together is refused.

use std::error::Error;
use std::path::{Path, PathBuf};

use samebit_gguf::{Gguf, GgufWriter, TensorType};

type Test = Result<(), Box<dyn Error>>;

fn part(dir: &Path, no: usize, count: usize) -> PathBuf {
    dir.join(format!("m-{:05}-of-{count:05}.gguf", no + 1))
}

/// A part that says it is `no` of `count`, with one tensor per name.
fn write_part(path: &Path, no: u16, count: u16, total: i32, names: &[&str]) -> Test {
    let data: Vec<u8> = names.iter().flat_map(|name| [name.as_bytes()[0]; 4]).collect();
    let mut writer = GgufWriter::new().meta("split.no", no).meta("split.count", count);
    if no == 0 {
        writer = writer.meta("general.architecture", "llama");
    }
    writer = writer.meta("split.tensors.count", total);
    for (name, bytes) in names.iter().zip(data.chunks(4)) {
        writer = writer.tensor(*name, &[1], TensorType::F32, bytes);
    }
    writer.write(path)?;
    Ok(())
}

fn write_three(dir: &Path) -> Test {
    write_part(&part(dir, 0, 3), 0, 3, 4, &[])?; // the first part often holds metadata alone
    write_part(&part(dir, 1, 3), 1, 3, 4, &["a", "b"])?;
    write_part(&part(dir, 2, 3), 2, 3, 4, &["c", "d"])
}

fn said(path: &Path) -> String {
    match Gguf::open(path) {
        Ok(gguf) => format!("{gguf:?} was read"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn the_first_part_opens_all() -> Test {
    let dir = tempfile::tempdir()?;
    write_three(dir.path())?;
    let gguf = Gguf::open(part(dir.path(), 0, 3))?;
    assert_eq!(gguf.shards().len(), 3);
    assert_eq!(gguf.metadata().str("general.architecture")?, Some("llama"));
    for (name, shard) in [("a", 1), ("b", 1), ("c", 2), ("d", 2)] {
        let t = gguf.tensor(name).ok_or("no tensor")?;
        assert_eq!(t.shard(), shard);
        assert_eq!(gguf.data(t), [name.as_bytes()[0]; 4]);
    }
    let sizes = (0..3).map(|no| Ok(std::fs::metadata(part(dir.path(), no, 3))?.len()));
    assert_eq!(gguf.file_bytes(), sizes.sum::<std::io::Result<u64>>()?);
    Ok(())
}

#[test]
fn another_part_says_which_to_open() -> Test {
    let dir = tempfile::tempdir()?;
    write_three(dir.path())?;
    let (first, second) = (part(dir.path(), 0, 3), part(dir.path(), 1, 3));
    assert_eq!(
        said(&second),
        format!("{}: this is part 2 of 3; open the first part, {}", second.display(), first.display())
    );
    let renamed = dir.path().join("renamed.gguf");
    std::fs::rename(&second, &renamed)?;
    assert_eq!(
        said(&renamed),
        format!(
            "{}: this is part 2 of 3; open the first part, whose name ends in -00001-of-00003.gguf",
            renamed.display()
        )
    );
    let bytes = std::fs::read(&renamed)?;
    assert_eq!(
        Gguf::from_bytes(bytes).err().map(|e| e.to_string()).unwrap_or_default(),
        "(in memory): this is one of 3 parts and was given without the others; open it by its path, beside the others"
    );
    Ok(())
}

#[test]
fn parts_missing_renamed_or_mixed_up() -> Test {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    write_three(dir)?;
    let (first, third) = (part(dir, 0, 3), part(dir, 2, 3));

    std::fs::remove_file(&third)?;
    assert_eq!(
        said(&first),
        format!("{}: part 3 of 3 is missing; download it into the same directory", third.display())
    );

    let together = "; download all parts again, from one place";
    std::fs::copy(part(dir, 1, 3), &third)?;
    assert_eq!(
        said(&first),
        format!("{}: key split.no is 1 where part 3 of 3 should have 2{together}", third.display())
    );
    write_part(&third, 2, 4, 4, &["c", "d"])?;
    assert_eq!(
        said(&first),
        format!("{}: key split.count is 4 where part 3 of 3 should have 3{together}", third.display())
    );
    GgufWriter::new().write(&third)?;
    assert_eq!(
        said(&first),
        format!("{}: key split.count is missing where part 3 of 3 should have 3{together}", third.display())
    );
    write_part(&third, 2, 3, 4, &["c"])?;
    assert_eq!(
        said(&first),
        format!("{}: the 3 parts hold 3 tensors where split.tensors.count says 4{together}", first.display())
    );
    write_part(&third, 2, 3, 4, &["c", "a"])?;
    assert!(said(&first).contains(": two tensors are named a; "), "{}", said(&first));

    let renamed = dir.join("renamed.gguf");
    std::fs::rename(&first, &renamed)?;
    assert_eq!(
        said(&renamed),
        format!(
            "{}: this is part 1 of 3, but its name does not end in -00001-of-00003.gguf; \
             restore the file's original name",
            renamed.display()
        )
    );
    Ok(())
}

#[test]
fn numbers_that_make_no_sense() -> Test {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("m-00001-of-00003.gguf");
    let made_wrongly = "; the file was made wrongly: convert the model again";
    let check = |no: Option<i64>, count: i64, expected: &str| -> Test {
        let mut writer = GgufWriter::new().meta("split.count", count);
        if let Some(no) = no {
            writer = writer.meta("split.no", no);
        }
        writer.write(&path)?;
        assert_eq!(said(&path), format!("{}: key {expected}{made_wrongly}", path.display()));
        Ok(())
    };
    check(Some(0), -3, "split.count is -3 where an integer from 0 is expected")?;
    check(Some(0), 1 << 40, "split.count is 1099511627776 where a number of parts up to 65535 is expected")?;
    check(Some(3), 3, "split.no is 3 where a number below split.count is expected")?;
    check(None, 3, "split.no is missing")
}

#[test]
fn one_part_of_one_is_a_whole_model() -> Test {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("any-name.gguf");
    write_part(&path, 0, 1, 1, &["a"])?;
    assert_eq!(Gguf::open(&path)?.tensors().len(), 1);
    Ok(())
}
