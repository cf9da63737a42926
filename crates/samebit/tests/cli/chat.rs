//! `chat`: one answer in a pipe, a conversation on a terminal, and its session computed again.

use crate::support::{answer, assert_fails, folder, output, output_with_input, samebit, stderr, tiny};

#[test]
fn in_a_pipe_it_answers_once_and_as_it_is() {
    let text = answer(&["run", "-m", tiny(), "--chat", "-p", "hello\nthere", "-n", "12", "--temp", "1.5"]);
    let chat = ["chat", "-m", tiny(), "-n", "12", "--temp", "1.5"];
    for (words, input) in
        [(&[][..], "hello\nthere\n"), (&["there"], "hello"), (&["hello\nthere"], ""), (&["-p", "there"], "hello")]
    {
        let output = output_with_input(&[&chat, words].concat(), input.as_bytes());
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{words:?} {input:?}");
        assert!(stderr(&output).contains("ended after 12 tokens"), "{}", stderr(&output));
    }
}

#[test]
fn a_session_goes_on_from_pipe_to_pipe() {
    let folder = folder();
    let file = folder.path().join("talk.jsonl");
    let file = file.to_str().expect("UTF-8");
    let chat = ["chat", "-q", "-m", tiny(), "-n", "5", "--session", file];
    for message in ["one", "two"] {
        assert!(!answer(&[&chat[..], &[message]].concat()).is_empty());
    }
    let said = answer(&["chat", "-m", tiny(), "--replay", file, "-t", "2"]);
    assert!(said.contains("the same: 2 turns, 10 tokens"), "{said}");
    // Its own settings count, and that is said where the flags are others.
    let flags = output(&["chat", "-m", tiny(), "-n", "2", "--session", file, "three"]);
    assert!(stderr(&flags).contains("goes on after turn 2, with its own settings"), "{}", stderr(&flags));
    assert!(stderr(&flags).contains("ended after 5 tokens"), "{}", stderr(&flags));
    let none = stderr(&output(&["chat", "-m", tiny(), "--session", file, "four"]));
    assert!(none.starts_with(&format!("samebit: {file}: goes on after turn 3\n")), "{none}");
    let whole = std::fs::read_to_string(file).expect("a session");
    let (cut, _) = whole.trim_end().rsplit_once('\n').expect("lines");
    std::fs::write(file, format!("{cut}\n")).expect("written");
    assert_fails(&output(&["chat", "-m", tiny(), "--replay", file]), 3, &["talk.jsonl: line", "cut off?"]);
    std::fs::write(file, "{}\n").expect("written");
    assert_fails(&output(&[&chat[..], &["three"]].concat()), 3, &["talk.jsonl: line 1: column"]);
}

#[cfg(unix)]
#[test]
fn pipes_are_written_into_and_are_no_sessions() {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (pipe, kept) = (path("pipe"), path("talk.jsonl"));
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo starts").success());
    let chat = ["chat", "-q", "-m", tiny(), "-n", "3", "hello"];
    let lonely = output(&[&chat[..], &["-o", &pipe]].concat());
    assert_eq!((lonely.status.code(), lonely.stdout.is_empty()), (Some(3), false));
    assert!(stderr(&lonely).contains("nobody reads"), "{}", stderr(&lonely));
    assert_fails(&output(&[&chat[..], &["--session", &pipe]].concat()), 3, &["pipe: is no regular file"]);
    assert_fails(&output(&["chat", "-q", "-m", tiny(), "--session", "/dev/zero", "x"]), 3, &["no regular file"]);
    // One that is open at both ends has a reader.
    let mut reader = std::fs::File::options().read(true).write(true).open(&pipe).expect("a pipe");
    answer(&[&chat[..], &["-o", &pipe]].concat());
    let mut begin = [0; 19];
    std::io::Read::read_exact(&mut reader, &mut begin).expect("read");
    assert_eq!(&begin, b"# Conversation with");
    assert!(std::fs::symlink_metadata(&pipe).is_ok_and(|found| !found.is_file()), "the pipe is still one");
    answer(&[&chat[..], &["--session", &kept]].concat());
    assert_eq!(std::fs::metadata(&kept).expect("a session").permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_cannot_be_answered_is_said_in_a_line() {
    let chat = ["chat", "-q", "-m", tiny()];
    assert_fails(&output(&chat), 3, &["standard input is empty"]);
    assert_fails(&output(&["chat", "-m", "smolm2"]), 3, &["smolm2", "no model's name"]);
    assert_fails(&output(&["chat", "-m", "nowhere.gguf"]), 3, &["nowhere.gguf", "no such file"]);
    let nothing = folder();
    let bare = samebit(&["chat", "hello"]).env("SAMEBIT_MODELS_DIR", nothing.path()).output();
    assert_fails(&bare.expect("the program starts"), 2, &["no model", "-m", "samebit pull smollm2"]);
    assert_fails(&output_with_input(&chat, b"ab\xff"), 3, &["standard input", "byte 2"]);
    assert_fails(&output(&[&chat, &["-c", "8", "hello"][..]].concat()), 3, &["the context is full", "-c N"]);
    assert_fails(&output(&[&chat, &["--think=false", "hello"][..]].concat()), 2, &["--think"]);
    for (flags, word) in [
        (&["--think=low"][..], "--think"),
        (&["--think-budget", "3"], "nothing can bound it"),
        (&["--json-schema", "{"], "--json-schema"),
        (&["--json-schema", r#"{"type": 3}"#], "type must be"),
        (&["--grammar-file", "nowhere.lark"], "nowhere.lark"),
        (&["--chat-template-kwargs", "[]"], "--chat-template-kwargs"),
        (&["--chat-template-kwargs", r#"{"tools": 1}"#], "variable tools"),
        (&["--stop", ""], "--stop"),
    ] {
        assert_fails(&output(&[&chat, flags, &["hello"][..]].concat()), 2, &[word]);
    }
    assert_eq!(
        output(&[&chat, &["--grammar", "start: \"a\"", "--format", "json"][..]].concat()).status.code(),
        Some(2)
    );
    assert_fails(&output(&[&chat, &["--top-p", "2", "hello"][..]].concat()), 2, &["top_p"]);
    assert_fails(&output(&[&chat, &["--replay", "nowhere.jsonl"][..]].concat()), 3, &["nowhere.jsonl"]);
    // A model without a template: its key, misspelled.
    let folder = folder();
    let path = folder.path().join("bare.gguf");
    let mut bytes = std::fs::read(tiny()).expect("the model");
    let key = b"tokenizer.chat_template";
    let at = bytes.windows(key.len()).position(|window| window == key).expect("a template");
    bytes[at] = b'T';
    std::fs::write(&path, bytes).expect("written");
    let bare = ["chat", "-q", "-m", path.to_str().expect("UTF-8"), "hello"];
    assert_fails(&output(&bare), 3, &["no chat template", "--chat-template", "chatml"]);
    assert!(output(&[&bare, &["-n", "2", "--chat-template", "chatml"][..]].concat()).status.success());
}

#[test]
fn answers_have_the_form_of_the_flags() {
    let chat = ["chat", "-q", "-m", tiny(), "hello"];
    assert_eq!(answer(&[&chat[..], &["--format", r#"{"enum": ["yes"]}"#]].concat()), "\"yes\"");
    assert_eq!(answer(&[&chat[..], &["--grammar", "start: \"never\""]].concat()), "never");
    assert_eq!(answer(&[&chat[..], &["--grammar", "root ::= \"never\" \"!\"{2}"]].concat()), "never!!");
    let folder = folder();
    let (schema, written) = (folder.path().join("s.json"), folder.path().join("out.md"));
    std::fs::write(&schema, r#"{"const": 7}"#).expect("written");
    let (schema, written) = (schema.to_str().expect("UTF-8"), written.to_str().expect("UTF-8"));
    assert_eq!(answer(&[&chat[..], &["-jf", schema, "-o", written]].concat()), "7");
    let written = std::fs::read_to_string(written).expect("a conversation");
    assert!(written.contains("## You\n\nhello\n") && written.ends_with("\n7\n"), "{written}");
}

#[cfg(target_os = "linux")]
mod terminal {
    use super::*;
    use crate::support::samebit;
    use rustix::fd::OwnedFd;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::fs::File;
    use std::io::{Read, Write};
    use std::process::{Child, Stdio};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    /// The program on a terminal of its own, and somebody who looks at it.
    struct Terminal {
        child: Child,
        keys: File,
        output: Receiver<Vec<u8>>,
        /// All that was written.
        screen: String,
        /// What was looked at already.
        seen: usize,
    }

    impl Terminal {
        fn open(args: &[&str], variables: &[(&str, &str)]) -> Self {
            let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
            grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
            let name = ptsname(&master, Vec::new()).expect("a name");
            let slave = || {
                let path = name.to_str().expect("ASCII");
                Stdio::from(File::options().read(true).write(true).open(path).expect("the terminal's other end"))
            };
            let mut command = samebit(args);
            command.env("TERM", "xterm").env_remove("NO_COLOR").envs(variables.iter().copied());
            let child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().expect("the program starts");
            let mut reader = File::from(master.try_clone().expect("a second end"));
            let (sender, output) = channel();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                // It ends with an error when the program does.
                while let Ok(count @ 1..) = reader.read(&mut bytes) {
                    if sender.send(bytes[..count].to_vec()).is_err() {
                        return;
                    }
                }
            });
            Self { child, keys: File::from(master), output, screen: String::new(), seen: 0 }
        }

        fn press(&mut self, keys: &str) {
            self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
        }

        /// Ctrl-C, as a terminal of its own would send it.
        fn interrupt(&self) {
            self.signal("-INT");
        }

        fn signal(&self, name: &str) {
            let sent = std::process::Command::new("kill").args([name, &self.child.id().to_string()]).status();
            assert!(sent.expect("kill starts").success());
        }

        /// Waits until a text is there that was not there before.
        fn wait(&mut self, text: &str) {
            let found = loop {
                if let Some(at) = self.screen[self.seen..].find(text) {
                    break self.seen + at;
                }
                let bytes = self.output.recv_timeout(Duration::from_secs(60));
                let bytes = bytes.unwrap_or_else(|error| panic!("`{text}` never came ({error}): {:?}", self.screen));
                let written = String::from_utf8_lossy(&bytes).into_owned();
                // Where is the cursor? A terminal says.
                for _ in written.matches("\x1b[6n") {
                    self.press("\x1b[1;1R");
                }
                self.screen.push_str(&written);
            };
            self.seen = found + text.len();
        }

        fn end(mut self) -> (String, Option<i32>) {
            let code = self.child.wait().expect("an end").code();
            while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(200)) {
                self.screen.push_str(&String::from_utf8_lossy(&bytes));
            }
            (self.screen, code)
        }
    }

    #[test]
    fn a_conversation_is_kept_and_computed_again() {
        let folder = folder();
        let file = folder.path().join("talk.jsonl");
        let (file, state) = (file.to_str().expect("UTF-8"), folder.path().to_str().expect("UTF-8"));
        let chat = ["chat", "-m", tiny(), "-n", "6", "--temp", "1.5"];
        let mut terminal = Terminal::open(&[&chat[..], &["--session", file]].concat(), &[("XDG_STATE_HOME", state)]);
        terminal.wait(">>> ");
        // Pasted: several lines, and none of them is sent before Enter.
        terminal.press("\x1b[200~one\ntwo\x1b[201~\r");
        terminal.wait("num_predict");
        terminal.wait(">>> ");
        terminal.press("\"\"\"three\r");
        terminal.wait("... ");
        terminal.press("four\"\"\"\r");
        terminal.wait("num_predict");
        terminal.wait(">>> ");
        terminal.press("/rege\r");
        terminal.wait("did you mean /regen?");
        terminal.wait(">>> ");
        terminal.press("\x03");
        terminal.wait("Ctrl-C again");
        terminal.wait(">>> ");
        terminal.press("\x04");
        let (_, code) = terminal.end();
        assert_eq!(code, Some(0));
        let kept = std::fs::read_to_string(file).expect("a session");
        assert!(kept.contains(r#""user":"one\ntwo""#) && kept.contains(r#""user":"three\nfour""#), "{kept}");
        let history = std::fs::read_to_string(folder.path().join("samebit/history")).expect("a history");
        assert!(history.starts_with("one<\\n>two\n") && history.contains("/rege\n"), "{history}");

        let replay = ["chat", "-m", tiny(), "--replay", file];
        for flags in [&[][..], &["-t", "3", "-ub", "5"], &["--isa", "reference"], &["--no-kv-cache"], &["-s", "9"]] {
            let said = answer(&[&replay[..], flags].concat());
            assert!(said.contains("the same: 2 turns, 12 tokens, every logit"), "{said}");
        }
        // Controls: one id, one digit of a digest, another cache.
        let departs = |text: &str, flags: &[&str], words: &str| {
            std::fs::write(file, text).expect("written");
            let output = output(&[&replay[..], flags].concat());
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(1), "{said}{}", stderr(&output));
            assert!(said.contains(words) && said.lines().count() == 1, "{said}");
        };
        let (before, ids) = kept.rsplit_once("\"tokens\":[").expect("a turn");
        let (id, after) = ids.split_once(',').expect("ids");
        let other = id.parse::<u32>().expect("an id") ^ 1;
        departs(&format!("{before}\"tokens\":[{other},{after}"), &[], "turn 2: token 0 of the answer");
        let (before, digest) = kept.split_once("\"digest\":\"").expect("a turn");
        let digit = if digest.starts_with('0') { '1' } else { '0' };
        departs(&format!("{before}\"digest\":\"{digit}{}", &digest[1..]), &[], "turn 1: the tokens are the same, but");
        departs(&kept, &["--kv", "f32"], "another type of cache");
    }

    #[test]
    fn ctrl_c_stops_the_answer_and_not_the_conversation() {
        let chat = [
            "chat",
            "-m",
            tiny(),
            "--no-history",
            "--isa",
            "reference",
            "--no-kv-cache",
            "--logit-bias",
            "2-inf,0-inf",
        ];
        let mut terminal = Terminal::open(&chat, &[("NO_COLOR", "1")]);
        terminal.wait(">>> ");
        terminal.press("hello\r");
        terminal.wait("\n");
        // Some of the answer is there.
        std::thread::sleep(Duration::from_millis(200));
        // Typed ahead: not among the words of the answer, but at the prompt after it.
        terminal.press("/set seed 日本\r/by");
        std::thread::sleep(Duration::from_millis(100));
        terminal.interrupt();
        terminal.wait("(stopped: the answer is kept");
        assert!(!terminal.screen.contains('日'), "{:?}", terminal.screen);
        terminal.wait("日本 is no whole number");
        terminal.wait("/by");
        terminal.press("e\r");
        let (screen, code) = terminal.end();
        assert_eq!(code, Some(0));
        assert!(!screen.contains("\x1b[0;"), "NO_COLOR: {screen:?}");
    }

    #[test]
    fn a_terminal_that_goes_takes_no_answer_along() {
        let folder = folder();
        let file = folder.path().join("talk.jsonl");
        let name = file.to_str().expect("UTF-8");
        let slow = ["--isa", "reference", "--no-kv-cache", "--logit-bias", "2-inf,0-inf"];
        let chat = ["chat", "-m", tiny(), "--no-history", "--session", name];
        let mut terminal = Terminal::open(&[&chat[..], &slow].concat(), &[("NO_COLOR", "1")]);
        terminal.wait(">>> ");
        terminal.press("hello\r");
        terminal.wait("\n");
        // Some of the answer is there.
        std::thread::sleep(Duration::from_millis(300));
        terminal.signal("-HUP");
        let (_, code) = terminal.end();
        assert_eq!(code, Some(0));
        let kept = std::fs::read_to_string(&file).expect("a session");
        assert!(kept.contains(r#""user":"hello""#) && kept.contains(r#""finish":"cancelled""#), "{kept}");
        // At the prompt there is nothing to keep.
        let mut terminal = Terminal::open(&chat, &[("NO_COLOR", "1")]);
        terminal.wait(">>> ");
        terminal.signal("-HUP");
        assert_eq!(terminal.end().1, None, "ended by the signal");
    }

    #[test]
    fn no_order_reaches_the_terminal() {
        let folder = folder();
        let home = folder.path().to_str().expect("UTF-8");
        let mut terminal = Terminal::open(&["chat", "-m", tiny(), "-n", "3"], &[("XDG_STATE_HOME", home)]);
        terminal.wait(">>> ");
        terminal.press("\x1b[200~a\x1b]0;title\x07b\u{9b}2Jc\x1b[201~\r");
        terminal.wait("num_predict");
        terminal.wait(">>> ");
        terminal.press("\x04");
        let (screen, _) = terminal.end();
        assert!(screen.contains("a␛]0;title␇b") && !screen.contains("\x1b]0;"), "{screen:?}");
        let escape = answer(&["tokenize", "-m", tiny(), "-p", "\x1b[2Jx", "--ids"]);
        let ids: Vec<&str> = escape.split_whitespace().collect();
        let told = [&["detokenize", "-m", tiny()][..], &ids].concat();
        let (screen, _) = Terminal::open(&told, &[]).end();
        assert!(screen.contains("␛[2Jx") && !screen.contains('\x1b'), "{screen:?}");
        assert!(answer(&told).contains("\x1b[2Jx"), "in a pipe it is as it is");
        let only = ids.iter().find(|id| answer(&["detokenize", "-m", tiny(), id]).contains('\x1b')).expect("an escape");
        let bias = format!("{only}+200");
        let run = ["run", "-m", tiny(), "-p", "x", "-n", "3", "--logit-bias", &bias];
        let (screen, _) = Terminal::open(&run, &[]).end();
        assert!(screen.contains("␛␛␛") && !screen.contains('\x1b'), "{screen:?}");
        assert_eq!(answer(&run), "\x1b\x1b\x1b");
    }

    #[test]
    fn a_dumb_terminal_gets_plain_lines() {
        let mut terminal = Terminal::open(&["chat", "-m", tiny(), "-n", "4"], &[("TERM", "dumb")]);
        terminal.wait(">>> ");
        terminal.interrupt();
        terminal.wait("Ctrl-C again");
        terminal.wait(">>> ");
        terminal.press("one \\\ntwo\n");
        terminal.wait("num_predict");
        terminal.press("/tokens\n");
        terminal.wait("turn 1: prompt");
        terminal.wait(">>> ");
        terminal.press(&format!("/load {}\n", tiny()));
        terminal.wait("the conversation before is over");
        terminal.press("/bye\n");
        let (screen, code) = terminal.end();
        assert_eq!(code, Some(0));
        assert!(!screen.contains('\x1b'), "{screen:?}");
    }
}
