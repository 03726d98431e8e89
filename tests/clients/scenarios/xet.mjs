// What people do with @huggingface/hub and Xet, which it uses unless told not to; the counterpart
// of xet.py. Prints the same lines as steps.py does. Runs in Node, the package where CLIENT says.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const hub = createRequire(join(process.env.CLIENT, "package.json"))("@huggingface/hub");
const { HUB_URL: hubUrl, ANNA_TOKEN, BO_TOKEN, RUN } = process.env;
const anna = { hubUrl, accessToken: ANNA_TOKEN };
const bo = { hubUrl, accessToken: BO_TOKEN };
const model = { type: "model", name: `anna/${RUN}model` };
const again = { type: "model", name: `anna/${RUN}again` };
const hidden = { type: "model", name: `anna/${RUN}hidden` };
const steps = [];

function step(name, work) {
	steps.push([name, work]);
}

function noise(size, seed = 1) {
	const bytes = Buffer.alloc(size);
	let state = seed;
	for (let at = 0; at < size; at += 4) {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		bytes.writeUInt32LE((state ^ (state >>> 15)) >>> 0, Math.min(at, Math.max(size - 4, 0)));
	}
	return bytes;
}

function mixed(size, seed) {
	const block = noise(300_000, seed);
	const kinds = [
		(n) => noise(2_000_000, seed + n),
		(n) => Buffer.from(`${seed}, line ${n} of a text\n`.repeat(20_000)),
		() => Buffer.alloc(1_000_000),
		() => block,
	];
	const parts = [];
	for (let length = 0; length < size; length += parts.at(-1).length) {
		parts.push(kinds[parts.length % kinds.length](parts.length));
	}
	return Buffer.concat(parts).subarray(0, size);
}

// Every test run makes do with less than `make compat`.
const THOROUGH = process.env.THOROUGH === "1";
const LARGE = THOROUGH ? 49_200_000 : 9_200_000;
const files = {
	"empty.bin": Buffer.alloc(0),
	"one.bin": Buffer.from("x"),
	"k3.bin": noise(3_000, 31),
	"k130.bin": noise(130_000, 32),
	"mixed.safetensors": mixed(LARGE, 33),
	"m70.bin": noise(THOROUGH ? 70_000_000 : 5_000_000, 34),
};

function digest(bytes) {
	return createHash("sha256").update(bytes).digest("hex");
}

async function same(blob, bytes) {
	assert.ok(blob, "there is no such file");
	const found = Buffer.from(await blob.arrayBuffer());
	assert.equal(found.length, bytes.length);
	assert.equal(digest(found), digest(bytes));
}

async function refused(status, work) {
	await assert.rejects(work, (error) => error.statusCode === status || assert.fail(`${error}`));
}

function add(path, bytes) {
	return { operation: "addOrUpdate", path, content: new Blob([bytes]) };
}

function commit(repo, operations, more = {}) {
	return hub.commit({ repo, title: "By Xet", operations, ...anna, ...more });
}

async function answered(...parts) {
	const metrics = await (await fetch(`${hubUrl}/metrics`)).text();
	const lines = metrics.split("\n").filter((line) => line.startsWith("hubstead_requests_total{"));
	const chosen = lines.filter((line) => parts.every((part) => line.includes(part)));
	return chosen.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

async function sentXorbs() {
	return answered("POST ", "/xorbs/default/");
}

async function kept(repo, what = "stored") {
	const address = `${hubUrl}/api/models/${repo.name}?expand[]=deduplication`;
	const answer = await fetch(address, { headers: { Authorization: `Bearer ${ANNA_TOKEN}` } });
	return (await answer.json()).deduplication[`${what}Bytes`];
}

function resolve(repo, path, headers = {}) {
	const address = `${hubUrl}/${repo.name}/resolve/main/${path}`;
	return fetch(address, { headers: { Authorization: `Bearer ${ANNA_TOKEN}`, ...headers } });
}

step("Create repositories", async () => {
	for (const repo of [model, again]) await hub.createRepo({ repo, ...anna });
	await hub.createRepo({ repo: hidden, private: true, ...anna });
});

step("Upload files of 0 bytes, 1 byte, 3 KB, 130 KB, 49 MB and 70 MB", async () => {
	const before = await sentXorbs();
	await commit(model, Object.entries(files).map(([path, bytes]) => add(path, bytes)));
	assert.ok((await sentXorbs()) > before, "nothing went by Xet");
});

step("Download them, equal byte by byte", async () => {
	for (const [path, bytes] of Object.entries(files)) {
		const info = await hub.fileDownloadInfo({ repo: model, path, ...anna });
		assert.equal(info.size, bytes.length);
		const blob = await hub.downloadFile({ repo: model, path, ...anna });
		if (bytes.length) assert.ok(info.xet, `${path} is not of Xet`);
		await same(blob, bytes);
	}
	assert.ok((await answered("GET ", "/reconstruction")) > 0, "nothing came by Xet");
});

step("Download parts at odd offsets", async () => {
	const bytes = files["mixed.safetensors"];
	const blob = await hub.downloadFile({ repo: model, path: "mixed.safetensors", ...anna });
	for (const [start, end] of [[0, 1], [65_535, 65_538], [1_999_999, 2_131_072], [bytes.length - 7, bytes.length]]) {
		await same(blob.slice(start, end), bytes.subarray(start, end));
	}
});

step("Download one after the other, without parallel requests", async () => {
	const how = { repo: model, path: "mixed.safetensors", parallelDownloads: false, ...anna };
	await same(await hub.downloadFile(how), files["mixed.safetensors"]);
});

step("Download the whole model, equal byte by byte", async () => {
	const cacheDir = join(process.env.HOME, "js-cache");
	const folder = await hub.snapshotDownload({ repo: model, cacheDir, ...anna });
	for (const [path, bytes] of Object.entries(files)) {
		assert.equal(digest(await readFile(join(folder, path))), digest(bytes));
	}
});

step("Upload single files", async () => {
	const file = { path: "single.bin", content: new Blob([noise(3_000_000, 35)]) };
	await hub.uploadFile({ repo: again, file, ...anna });
	await same(await hub.downloadFile({ repo: again, path: "single.bin", ...anna }), noise(3_000_000, 35));
});

step("Upload the same content elsewhere: none of it is stored twice", async () => {
	const before = await kept(again, "unique");
	await commit(again, [add("mixed.safetensors", files["mixed.safetensors"])]);
	assert.equal(await kept(again, "unique"), before);
	await same(await hub.downloadFile({ repo: again, path: "mixed.safetensors", ...anna }), files["mixed.safetensors"]);
});

step("Upload a file with bytes inserted in its middle: only their surroundings are stored again", async () => {
	const bytes = files["mixed.safetensors"];
	const changed = Buffer.concat([bytes.subarray(0, LARGE / 2), Buffer.from("inserted"), bytes.subarray(LARGE / 2)]);
	const before = await kept(again);
	await commit(again, [add("changed.safetensors", changed)]);
	assert.ok((await kept(again)) - before < 1_000_000, `${await kept(again)}`);
	await same(await hub.downloadFile({ repo: again, path: "changed.safetensors", ...anna }), changed);
});

step("Download Xet files by plain HTTP, whole and in parts", async () => {
	for (const [path, bytes] of Object.entries(files)) {
		assert.equal(digest(Buffer.from(await (await resolve(model, path)).arrayBuffer())), digest(bytes));
		await same(await hub.downloadFile({ repo: model, path, xet: false, ...anna }), bytes);
	}
	const part = await resolve(model, "mixed.safetensors", { Range: "bytes=5777215-8554433" });
	assert.equal(part.status, 206);
	assert.deepEqual(Buffer.from(await part.arrayBuffer()), files["mixed.safetensors"].subarray(5777215, 8554434));
});

step("Download with Xet a file that was uploaded by LFS", async () => {
	const bytes = noise(5_000_000, 36);
	await commit(model, [add("plain.bin", bytes)], { useXet: false });
	await same(await hub.downloadFile({ repo: model, path: "plain.bin", ...anna }), bytes);
	await commit(again, [add("plain-by-xet.bin", bytes)]);
	await same(await hub.downloadFile({ repo: again, path: "plain-by-xet.bin", ...anna }), bytes);
	await same(await hub.downloadFile({ repo: model, path: "plain.bin", ...anna }), bytes);
});

step("A stranger gets neither a private file nor a Xet token for it", async () => {
	await commit(hidden, [add("k3.bin", files["k3.bin"])]);
	await same(await hub.downloadFile({ repo: hidden, path: "k3.bin", ...anna }), files["k3.bin"]);
	await refused(404, () => hub.downloadFile({ repo: hidden, path: "k3.bin", ...bo }));
	await refused(404, () => commit(hidden, [add("no.bin", noise(9_000, 37))], bo));
	await refused(403, () => commit(model, [add("no.bin", noise(9_000, 37))], bo));
});

step("Delete repositories; others with the same content are unaffected", async () => {
	for (const repo of [model, hidden]) await hub.deleteRepo({ repo, ...anna });
	await same(await hub.downloadFile({ repo: again, path: "mixed.safetensors", ...anna }), files["mixed.safetensors"]);
});

for (const [name, work] of steps) {
	const result = { step: name };
	const began = performance.now();
	try {
		await work();
	} catch (error) {
		result.error = `${error.stack}\n${JSON.stringify(error)}`;
	}
	result.seconds = Math.round(performance.now() - began) / 1000;
	console.log(`STEP ${JSON.stringify(result)}`);
}
