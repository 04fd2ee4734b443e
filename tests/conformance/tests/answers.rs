//! What is answered about containers and execs, word by word and in its order: clients compare, and
//! some count on it.

use expect_test::expect_file;
use sealane_conformance::*;

/// Values that differ from run to run.
const VARYING: [&str; 17] = [
    "Id",
    "ID",
    "Image",
    "ImageID",
    "SandboxID",
    "SandboxKey",
    "NetworkID",
    "EndpointID",
    "ContainerID",
    "Created",
    "StartedAt",
    "Pid",
    "LogPath",
    "ResolvConfPath",
    "HostnamePath",
    "HostsPath",
    "Status",
];

/// The answer to a `GET`, with the same words for what differs from run to run.
fn answer(world: &World, path: &str) -> String {
    let mut answer = world.get(path);
    settle(&mut answer);
    serde_json::to_string_pretty(&answer).expect("JSON") + "\n"
}

fn settle(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        for (key, value) in fields.iter_mut() {
            match VARYING.contains(&key.as_str()) {
                true => settle_varying(value),
                false => settle(value),
            }
        }
    } else if let Some(items) = value.as_array_mut() {
        items.iter_mut().for_each(settle);
    } else if value.as_str().is_some_and(is_short_id) {
        *value = json!("0123456789ab");
    }
}

fn settle_varying(value: &mut Value) {
    if let Some(number) = value.as_u64() {
        *value = json!(u8::from(number != 0));
    } else if let Value::String(text) = value {
        settle_text(text);
    } else {
        settle(value);
    }
}

/// Words of Docker's, and times that never were, stay; ids, paths and times do not.
fn settle_text(text: &mut String) {
    let varies = text.contains(|character: char| character.is_ascii_digit());
    if varies && !text.starts_with("0001-") {
        *text = "varies".into();
    }
}

fn is_short_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[test]
fn a_container_with_most_options_is_shown_as_asked_for() {
    let world = World::new();
    world.network("--subnet 10.120.0.0/24 blue");
    let options = "--name all --hostname web.example --user 1000:1000 -it -e A=1 --label team=net \
                   --stop-signal SIGINT --stop-timeout 7 --health-cmd true --health-interval 5s \
                   --memory 64m --cpus 0.5 --pids-limit 50 --ulimit nofile=100:200 \
                   --device /dev/null:/dev/x:rw --init -v /tmp:/data:ro,rslave \
                   --tmpfs /scratch:size=1m \
                   --mount type=tmpfs,destination=/cache,tmpfs-size=1048576 \
                   --mount type=bind,source=/tmp,destination=/more,bind-propagation=rshared \
                   --cap-add NET_ADMIN --cap-drop MKNOD --dns 10.0.0.53 --dns-option ndots:1 \
                   --dns-search example --add-host db:10.0.0.5 --annotation a=b --read-only \
                   --security-opt no-new-privileges --restart on-failure:3 --shm-size 32m \
                   --sysctl net.ipv4.ip_unprivileged_port_start=0 --workdir /www --cgroupns private \
                   --blkio-weight-device /dev/null:100 --device-read-bps /dev/null:1mb \
                   --entrypoint /bin/httpd -p 127.0.0.1:8080:80 --log-opt max-size=1m \
                   --network name=blue,ip=10.120.0.9,mac-address=02:00:00:00:00:09,alias=w,link-local-ip=169.254.1.9,gw-priority=5";
    world.docker(&format!("create {options} img -f")).ok();
    expect_file!["answers/created.json"].assert_eq(&answer(&world, "/containers/all/json"));
    expect_file!["answers/created-1.43.json"]
        .assert_eq(&answer(&world, "/v1.43/containers/all/json"));
    expect_file!["answers/list.json"].assert_eq(&answer(&world, "/containers/json?all=1"));
}

#[test]
fn a_container_that_runs_is_shown_as_it_is() {
    let world = World::new();
    world.network("--subnet 10.121.0.0/24 blue");
    let mac = "02:00:00:00:00:0a";
    let network = format!("--network name=blue,ip=10.121.0.9,mac-address={mac}");
    world.idle(&format!("--name busy --hostname busy {network} -p 8081:80"));
    expect_file!["answers/running.json"].assert_eq(&answer(&world, "/containers/busy/json"));
    expect_file!["answers/running-list.json"].assert_eq(&answer(&world, "/containers/json"));
    let top = world.get("/containers/busy/top?ps_args=-opid,cmd");
    let keys: Vec<&String> = top.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["Titles", "Processes"], "{top}");
    assert_eq!(top["Processes"][0][1], "sleep 1000000", "{top}");

    let ask = json!({"Cmd": ["sh", "-c", "exit 3"], "User": "root", "AttachStdout": true});
    let (_, made) = world.api("POST", "/containers/busy/exec", &ask);
    let path = format!("/exec/{}", made["Id"].as_str().expect("an id"));
    world.api("POST", &format!("{path}/start"), &json!({"Detach": true}));
    let path = format!("{path}/json");
    eventually(Duration::from_secs(60), || {
        (world.get(&path)["Running"] == json!(false)).then_some(())
    });
    expect_file!["answers/exec.json"].assert_eq(&answer(&world, &path));
}
