# For Homebrew: brew install --HEAD --formula ./deploy/homebrew/pgstrata.rb
# A release carries this file with its own url and sha256 (scripts/dist).
class Pgstrata < Formula
  desc "Proxy for PostgreSQL that keeps tenants in schemas of their own"
  homepage "https://github.com/pgstrata/pgstrata"
  license any_of: ["MIT", "Apache-2.0"]
  head "https://github.com/pgstrata/pgstrata.git", branch: "main"

  # PostgreSQL's parser is C, and its headers are read by libclang.
  depends_on "llvm" => :build
  depends_on "rust" => :build

  def install
    ENV["LIBCLANG_PATH"] = Formula["llvm"].opt_lib.to_s
    system "cargo", "install", *std_cargo_args(path: "proxy")
    system bin/"pgstrata", "generate", "man", "man"
    system bin/"pgstrata", "generate", "completions", "completions"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/pgstrata.bash" => "pgstrata"
    zsh_completion.install "completions/_pgstrata"
    fish_completion.install "completions/pgstrata.fish"
    (etc/"pgstrata").install "config/pgstrata.toml"
  end

  service do
    run [opt_bin/"pgstrata", "serve", "--config", etc/"pgstrata/pgstrata.toml"]
    keep_alive true
    error_log_path var/"log/pgstrata.log"
  end

  test do
    system bin/"pgstrata", "--version"
    (testpath/"pgstrata.toml").write "[listen]\nport = 1"
    shell_output("#{bin}/pgstrata check --config #{testpath}/pgstrata.toml 2>&1", 1)
  end
end
