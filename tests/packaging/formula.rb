# frozen_string_literal: true

# Runs the formula's `install` and `test` with a program that is built already in the place of `cargo install`. The arguments
# are the formula, the program and an empty folder; what was installed is printed, a path on each line.
require "fileutils"
require "pathname"

formula, program, folder = ARGV.map { |argument| Pathname(argument).realpath }
PREFIX = folder/"prefix"

# A place in the prefix, as Homebrew's: what is given to `install` goes there, by its name or by another.
class Pathname
  def install(*sources)
    mkpath
    sources.flatten.each do |source|
      (source.is_a?(Hash) ? source : { source => File.basename(source) }).each { |from, to| FileUtils.cp(from, self/to) }
    end
  end
end

class Formula
  # What a formula says of itself, and what is asked of others.
  %i[desc homepage license head depends_on service test].each do |word|
    define_singleton_method(word) { |*_arguments, &block| (@said ||= {})[word] = block }
  end

  def self.[](_name) = new
  def self.said = @said

  { bin: "bin", man1: "share/man/man1", bash_completion: "etc/bash_completion.d", opt_lib: "lib", etc: "etc",
    zsh_completion: "share/zsh/site-functions", fish_completion: "share/fish/vendor_completions.d" }
    .each { |place, path| define_method(place) { PREFIX/path } }

  def testpath = Pathname(Dir.pwd)

  def std_cargo_args(path:) = ["--locked", "--root", PREFIX.to_s, "--path", path]

  def system(*command)
    return install_program(command) if command.first == "cargo"
    raise "#{command} failed" unless Kernel.system(*command.map(&:to_s), out: File::NULL)
  end

  def shell_output(command, status)
    output = `#{command}`
    raise "#{command} ended with #{$?.exitstatus}: #{output}" unless $?.exitstatus == status
    output
  end

  def install_program(command)
    raise "#{command}: there is no such crate" unless File.file?(File.join(command.last, "Cargo.toml"))
    bin.mkpath
    FileUtils.ln_s($program, bin/"pgstrata")
  end
end

$program = program
load formula.to_s
project = formula.parent.parent.parent
# The formula writes beside the sources: here it gets those that it names.
Dir.chdir(folder)
FileUtils.mkdir_p(%w[config proxy])
FileUtils.cp(project/"config/pgstrata.toml", "config")
FileUtils.cp(project/"proxy/Cargo.toml", "proxy")
made = Pgstrata.new
made.install
made.instance_eval(&Pgstrata.said[:test])
puts PREFIX.find.select(&:file?).map { |path| path.relative_path_from(PREFIX) }.sort
