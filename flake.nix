# For Nix: nix run github:pgstrata/pgstrata -- demo
{
  description = "A proxy for PostgreSQL that keeps tenants in schemas of their own";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forEachSystem = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      manifest = builtins.fromTOML (builtins.readFile ./Cargo.toml);
    in
    {
      packages = forEachSystem (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "pgstrata";
          version = manifest.workspace.package.version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          cargoBuildFlags = [
            "--package"
            "pgstrata"
            "--bin"
            "pgstrata"
          ];
          # PostgreSQL's parser is C, and its headers are read by libclang.
          nativeBuildInputs = [
            pkgs.installShellFiles
            pkgs.rustPlatform.bindgenHook
          ];
          # They start PostgreSQL and drivers of many languages: `make test`.
          doCheck = false;
          postInstall = ''
            $out/bin/pgstrata generate man man
            $out/bin/pgstrata generate completions completions
            installManPage man/*.1
            installShellCompletion --cmd pgstrata --bash completions/pgstrata.bash \
              --zsh completions/_pgstrata --fish completions/pgstrata.fish
            install -D --mode=644 config/pgstrata.toml $out/share/pgstrata/pgstrata.toml
          '';
          meta = {
            description = "Proxy for PostgreSQL that keeps tenants in schemas of their own";
            homepage = "https://github.com/pgstrata/pgstrata";
            license = with nixpkgs.lib.licenses; [
              mit
              asl20
            ];
            mainProgram = "pgstrata";
          };
        };
      });

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          nativeBuildInputs = with pkgs; [
            cargo
            clippy
            postgresql
            rustPlatform.bindgenHook
            rustc
            rustfmt
          ];
        };
      });
    };
}
