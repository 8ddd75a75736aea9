//! Recreation, on inspections as a real engine 20.10 gave them.

use super::*;

const IMAGE: NewImage<'_> = NewImage { reference: "web:2", id: "sha256:new", labels: &Value::Null };

fn running() -> Value {
    serde_json::from_str(include_str!("../fixtures/engine_20_10_running.json")).unwrap()
}

fn defaults() -> Value {
    serde_json::from_str(include_str!("../fixtures/engine_20_10_image_config.json")).unwrap()
}

#[test]
fn what_the_user_chose_is_kept_and_what_the_image_chose_is_not() {
    let body = plan(&running(), Some(&defaults()), &IMAGE).body;
    assert_eq!(body["Image"], "web:2");
    assert_eq!(body["Env"], json!(["B=mine", "C=1"]));
    assert_eq!(
        body["Labels"],
        json!({ "com.docker.compose.project": "shop", "com.docker.compose.service": "web" })
    );
    assert_eq!(body["Volumes"], json!({ "/anon": {} }));
    assert_eq!(body["ExposedPorts"], json!({ "80/tcp": {} }), "published, so it stays exposed");
    assert_eq!(body["Healthcheck"]["Test"], json!(["CMD-SHELL", "true"]));
    for from_image in ["Cmd", "Entrypoint", "WorkingDir", "User", "OnBuild"] {
        assert!(body.get(from_image).is_none(), "{from_image}");
    }
    assert!(body.get("Hostname").is_none(), "it was made from the id");
}

#[test]
fn without_the_old_image_everything_is_kept() {
    let body = plan(&running(), None, &IMAGE).body;
    assert_eq!(body["Env"], json!(["B=mine", "C=1", "A=image"]));
    assert_eq!(body["Cmd"], json!(["sleep", "1000"]));
    assert_eq!(body["WorkingDir"], "/tmp");
}

#[test]
fn an_images_command_is_kept_for_an_entrypoint_of_the_users() {
    let mut web = running();
    web["Config"]["Entrypoint"] = json!(["sh", "-c"]);
    let body = plan(&web, Some(&defaults()), &IMAGE).body;
    assert_eq!((&body["Entrypoint"], &body["Cmd"]), (&json!(["sh", "-c"]), &json!(["sleep", "1000"])));
}

#[test]
fn limits_and_what_nobody_heard_of_go_through() {
    let mut web = running();
    web["HostConfig"]["FutureSetting"] = json!({ "a": [null, 1] });
    let host = plan(&web, Some(&defaults()), &IMAGE).body["HostConfig"].clone();
    let original = &web["HostConfig"];
    for (key, value) in host.as_object().unwrap() {
        if key != "Binds" && key != "Mounts" {
            assert_eq!(value, &original[key], "{key}");
        }
    }
    assert_eq!(host.as_object().unwrap().len(), original.as_object().unwrap().len());
}

#[test]
fn volumes_without_a_name_keep_their_data() {
    let host = plan(&running(), Some(&defaults()), &IMAGE).body["HostConfig"].clone();
    let mut binds: Vec<_> =
        host["Binds"].as_array().unwrap().iter().map(|bind| bind.as_str().unwrap()).collect();
    // The engine tells the mounts in any order.
    binds[2..].sort_unstable();
    let anonymous = [
        "0fb5a26262e1a0af796cf4844b0878759c57d400f86c2053471bdd07c4da35b0:/data",
        "961c1a05cef664927d490ce892779bb05e0b45e6b80cdba8ee5864058a9e4cee:/anon",
    ];
    assert_eq!(binds[..2], ["named:/named", "/srv/site:/hostdir:ro"]);
    assert_eq!(binds[2..], anonymous);
    let source = "85b513345028c481b69354bb3d1b069e6283d1f96cf7ac157baca4380ad1ed45";
    assert_eq!(host["Mounts"], json!([{ "Type": "volume", "Target": "/manon", "Source": source }]));
}

#[test]
fn volumes_are_bound_however_they_were_asked_for() {
    let mount =
        |target: &str, rw: bool| json!({ "Type": "volume", "Name": "v", "Destination": target, "RW": rw });
    let binds = |binds: Value, mount: Value| {
        let mut host = object(&json!({ "Binds": binds }));
        name_anonymous_volumes(&mut host, &json!([mount]));
        host["Binds"].clone()
    };
    assert_eq!(binds(Value::Null, mount("/d", false)), json!(["v:/d:ro"]));
    assert_eq!(binds(json!(["/d"]), mount("/d", true)), json!(["v:/d"]));
    assert_eq!(binds(json!(["mine:/d:z"]), mount("/d", true)), json!(["mine:/d:z"]));
    assert_eq!(binds(json!(["mine:/d2"]), mount("/d", true)), json!(["mine:/d2", "v:/d"]));
}

#[test]
fn the_first_network_goes_into_creation_and_the_others_follow() {
    let Recreation { body, networks } = plan(&running(), Some(&defaults()), &IMAGE);
    assert_eq!(
        body["NetworkingConfig"],
        json!({ "EndpointsConfig": {
            "n2": { "IPAMConfig": { "IPv4Address": "10.99.0.7" }, "Aliases": ["front"] }
        } })
    );
    let n1 = "021f370d591eda712cc628ac42de5e0213880b112f9ede5b6eaef3ca46c0c688".to_owned();
    assert_eq!(networks, [(n1, json!({ "IPAMConfig": {}, "Aliases": ["second"], "DriverOpts": {} }))]);
}

#[test]
fn a_network_given_by_id_is_called_by_its_name() {
    let mut web = running();
    web["HostConfig"]["NetworkMode"] = web["NetworkSettings"]["Networks"]["n1"]["NetworkID"].clone();
    let body = plan(&web, None, &IMAGE).body;
    assert_eq!(body["HostConfig"]["NetworkMode"], "n1");
    assert!(body["NetworkingConfig"]["EndpointsConfig"]["n1"].is_object());
}

#[test]
fn a_network_that_is_not_the_containers_own_is_not_configured() {
    for mode in ["host", "none", "container:a13cdc3caf8b"] {
        let mut web = running();
        web["HostConfig"]["NetworkMode"] = json!(mode);
        web["Config"]["Hostname"] = json!("chosen");
        let Recreation { body, networks } = plan(&web, None, &IMAGE);
        assert_eq!(body["HostConfig"]["NetworkMode"], mode);
        assert!(body.get("NetworkingConfig").is_none() && networks.is_empty(), "{mode}");
        let shares = mode.starts_with("container:");
        assert_eq!(body.get("Hostname").is_none(), shares, "{mode}");
        assert_eq!(body.get("ExposedPorts").is_none(), shares, "{mode}");
    }
}

#[test]
fn the_default_network_stays_the_default() {
    let bridge =
        json!({ "IPAMConfig": null, "Links": null, "Aliases": null, "NetworkID": "4b", "DriverOpts": null });
    let mut web = running();
    web["HostConfig"]["NetworkMode"] = json!("default");
    web["NetworkSettings"]["Networks"] = json!({ "bridge": bridge });
    let Recreation { body, networks } = plan(&web, None, &IMAGE);
    assert_eq!(body["HostConfig"]["NetworkMode"], "default");
    assert_eq!(body["NetworkingConfig"], json!({ "EndpointsConfig": { "bridge": {} } }));
    assert!(networks.is_empty());
}

#[test]
fn an_image_does_not_say_where_a_projects_files_are() {
    const DIRECTORY: &str = "com.docker.compose.project.working_dir";
    let evil = json!({ DIRECTORY: "/tmp/evil", "team": "x" });
    let image = NewImage { labels: &evil, ..IMAGE };
    let mut web = running();
    for own in [json!({}), Value::Null, json!({ DIRECTORY: "/tmp/evil" })] {
        web["Config"]["Labels"] = own;
        // Where the old image said the same, the container's own label is taken for the image's.
        let body = plan(&web, Some(&json!({ "Labels": evil })), &image).body;
        assert_eq!(body["Labels"], json!({ DIRECTORY: "" }));
    }
    web["Config"]["Labels"] = json!({ DIRECTORY: "/srv/shop" });
    let body = plan(&web, None, &image).body;
    assert_eq!(body["Labels"][DIRECTORY], "/srv/shop", "compose has said so");
}

#[test]
fn links_and_the_compose_label_are_translated() {
    let mut web = running();
    web["HostConfig"]["Links"] = json!(["/db:/w1/database", "/cache:/w1/cache"]);
    web["Config"]["Labels"]["com.docker.compose.image"] = json!("sha256:old");
    let body = plan(&web, None, &IMAGE).body;
    assert_eq!(body["HostConfig"]["Links"], json!(["db:database", "cache:cache"]));
    assert_eq!(body["Labels"]["com.docker.compose.image"], "sha256:new");
}

#[test]
fn what_could_not_be_put_back_or_carries_others_is_not_replaced() {
    assert_eq!(obstacle(&running()), None);
    let mut web = running();
    web["HostConfig"]["AutoRemove"] = json!(true);
    assert!(obstacle(&web).unwrap().contains("--rm"));
    let id = "a".repeat(64);
    let list = json!([
        { "Names": ["/vpn"], "HostConfig": { "NetworkMode": "shop_default" } },
        { "Names": ["/torrent"], "HostConfig": { "NetworkMode": format!("container:{id}") } },
        { "Names": ["/other"], "HostConfig": { "NetworkMode": format!("container:{}", "b".repeat(64)) } },
    ]);
    assert_eq!(sharers(&list, &id), ["torrent"]);
    assert!(sharers(&json!([]), &id).is_empty());
}
